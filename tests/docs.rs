//! The page of settings says what the code does: no setter, variable or limit is missing there, and the defaults are the
//! code's.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::{collections::BTreeSet, time::Duration};
use tower_resume::{self as t, Idempotency, Keys, store::MemoryStore};

const PAGE: &str = include_str!("../docs/configuration.md");
const CLIENTS: &str = include_str!("../docs/clients.md");

fn rows(heading: &str) -> Vec<Vec<String>> {
    rows_of(PAGE, heading)
}

/// The rows of the tables below this heading, up to the next one of its rank: their cells, without the code marks.
fn rows_of(page: &str, heading: &str) -> Vec<Vec<String>> {
    let rank = heading.chars().take_while(|char| *char == '#').count();
    let ends = |line: &&str| {
        let of = line.chars().take_while(|char| *char == '#').count();
        of == 0 || of > rank || !line[of..].starts_with(' ')
    };
    let below = page.lines().skip_while(|line| *line != heading).skip(1);
    let cells = below.take_while(ends).filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = cells.map(|line| line.split(" | ").map(|cell| cell.replace('`', "").trim().to_owned()).collect());
    let rows: Vec<Vec<String>> = rows.collect();
    assert!(rows.len() > 2, "no table below {heading}");
    rows.into_iter().filter(|row| !row[0].starts_with("---")).skip(1).collect()
}

fn first_column(heading: &str) -> BTreeSet<String> {
    rows(heading).into_iter().map(|row| row[0].clone()).collect()
}

fn default_of(heading: &str, name: &str) -> String {
    let row = rows(heading).into_iter().find(|row| row[0] == name);
    row.unwrap_or_else(|| panic!("{name} is missing below {heading}"))[2].clone()
}

/// The functions of a source that take a value and give it back: its setters.
fn setters(source: &str, of: &str) -> BTreeSet<String> {
    let block = source.split("\nimpl").filter(|block| block.lines().next().is_some_and(|line| line.contains(of)));
    let heads = block.flat_map(|block| block.split("    pub ").skip(1));
    let setters = heads.filter_map(|head| {
        let name = head.strip_prefix("const ").unwrap_or(head).strip_prefix("fn ")?;
        let (name, arguments) = name.split_once('(')?;
        let takes_itself = ["self", "mut self"].iter().any(|me| arguments.trim_start().starts_with(me));
        takes_itself.then(|| name.split('<').next().unwrap_or(name).to_owned())
    });
    setters.collect()
}

#[test]
fn every_setter_has_its_row_and_every_row_its_setter() {
    // Its setters have a file for each thing that they are about.
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/layer")).unwrap();
    let files = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let layer = files.fold(include_str!("../src/layer.rs").to_owned(), |all, file| all + "\n" + &file);
    for (heading, of, source) in [
        ("## ResumeLayer", "ResumeLayer<S, Start>", layer.as_str()),
        ("## Idempotency", " Idempotency {", include_str!("../src/idempotency.rs")),
        ("## RedisConfig", " RedisConfig {", include_str!("../src/store/redis/config.rs")),
        ("## MemoryStore", " MemoryStore {", include_str!("../src/store/memory/mod.rs")),
    ] {
        // Headings within a section begin tables of their own, with a head each.
        let rows = first_column(heading).into_iter().filter(|name| name != "setter").collect::<BTreeSet<_>>();
        let setters = setters(source, of);
        assert!(!setters.is_empty(), "{of}: the source is not read right");
        assert_eq!(rows, setters, "{heading}");
    }
}

#[test]
fn what_handlers_say_is_all_there() {
    let rows = rows("## What handlers say");
    for (of, source) in
        [("Attach", include_str!("../src/attach.rs")), ("CancelStream", include_str!("../src/cancel/named.rs"))]
    {
        let row = &rows.iter().find(|row| row[0].starts_with(&format!("{of}::"))).unwrap()[2];
        let setters = setters(source, &format!(" {of} {{"));
        assert!(!setters.is_empty(), "{of}: the source is not read right");
        for name in setters {
            assert!(row.contains(&format!("{name}(")), "{name} of {of} is missing");
        }
    }
}

/// What looks like the name of a variable, in quotes.
fn variables(source: &str) -> BTreeSet<String> {
    let quoted = source.split('"').skip(1).step_by(2);
    let is_one = |text: &&str| {
        text.len() > 3 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') && !text.starts_with('_')
    };
    quoted.filter(is_one).map(str::to_owned).collect()
}

#[test]
fn every_variable_has_its_row_and_every_row_its_variable() {
    let code = |source: &'static str| source.split("#[cfg(test)]").next().unwrap_or(source);
    let mut read = variables(code(include_str!("../src/env.rs")));
    read.extend(variables(code(include_str!("../src/token/keys.rs"))));
    assert!(read.contains("REDIS_URL") && read.contains("SSE_RESUME_SECRET_PREVIOUS"), "{read:?}");
    assert_eq!(first_column("## Environment"), read);

    let example = first_column("## The example's own");
    let mut read = variables(include_str!("../examples/draft-graph/main.rs"));
    read.extend(variables(include_str!("../examples/draft-graph/metrics.rs")));
    assert!(read.contains("PORT"), "{read:?}");
    assert!(read.is_subset(&example), "{read:?} are read, and {example:?} are on the page");
}

#[test]
fn every_feature_has_its_row() {
    let manifest = include_str!("../Cargo.toml");
    let section = manifest.split("\n[features]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let names = section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned());
    let names: BTreeSet<_> = names.filter(|name| name != "default" && !name.starts_with('#')).collect();
    assert_eq!(first_column("## Features"), names);
}

#[test]
fn every_option_of_the_clients_has_its_row() {
    let rows = rows_of(CLIENTS, "### Their options");
    let column = |at: usize| {
        let names = rows.iter().flat_map(|row| row[at].split(", ").map(|name| name.replace(" (a function)", "")));
        names.map(|name| name.trim_start_matches("retry.").to_owned()).collect::<BTreeSet<_>>()
    };
    let rust = setters(include_str!("../src/client/request.rs"), " Request {");
    let said_by_the_request = ["json", "body", "header", "headers", "send"].map(str::to_owned);
    let rust: BTreeSet<_> = rust.into_iter().filter(|name| !said_by_the_request.contains(name)).collect();
    assert_eq!(column(3), rust);
    let types = include_str!("../examples/clients/js/resumable.d.ts");
    for name in column(1) {
        assert!(types.contains(&format!("  {name}?: ")), "{name} is no option of the JavaScript client");
    }
    let python = include_str!("../examples/clients/python/README.md");
    for name in column(2) {
        assert!(python.contains(&format!("`{name}`")), "{name} is no option of the Python client");
    }
}

#[cfg(feature = "client")]
#[test]
fn the_clients_defaults_are_the_codes() {
    let default = |name: &str| {
        let row = rows_of(CLIENTS, "### Their options").into_iter().find(|row| row[3] == name);
        row.unwrap_or_else(|| panic!("{name} is missing"))[4].clone()
    };
    assert_eq!(default("idle_timeout"), time(t::client::DEFAULT_IDLE_TIMEOUT));
    assert_eq!(default("retry_base"), time(t::client::DEFAULT_RETRY_BASE));
    assert_eq!(default("retry_max"), time(t::client::DEFAULT_RETRY_MAX));
    assert_eq!(default("max_event_bytes"), bytes(t::client::DEFAULT_MAX_EVENT_BYTES));
}

/// What a page names of metrics and events has to be there, or a reader looks for it in vain.
#[cfg(feature = "metrics")]
#[test]
fn every_metric_and_event_that_a_page_names_exists() {
    let known: BTreeSet<_> = t::telemetry::METRICS.iter().map(|metric| metric.name).collect();
    let operations = include_str!("../docs/operations.md");
    let mut seen = 0;
    for page in [operations, include_str!("../docs/troubleshooting.md"), include_str!("../docs/migration.md")] {
        let words = page.split(|char: char| !(char.is_ascii_lowercase() || char == '_'));
        // One that ends in `_` stands for all that begin so.
        for word in words.filter(|word| word.starts_with("tower_resume_")) {
            let is_there =
                known.contains(word) || word.ends_with('_') && known.iter().any(|name| name.starts_with(word));
            assert!(is_there, "there is no metric {word}");
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}: the pages are not read right");

    let names: BTreeSet<_> = t::telemetry::Name::ALL.map(t::telemetry::Name::as_str).into();
    let listed =
        operations.split("the field `event` has the same names.").nth(1).unwrap().split("\n\n").next().unwrap();
    for name in listed.split('`').skip(1).step_by(2).filter(|name| name.contains('_') && *name != "request_id") {
        assert!(names.contains(name), "there is no event {name}");
    }
}

fn time(time: Duration) -> String {
    match time.as_millis() {
        millis if millis % 60_000 == 0 && millis > 60_000 => format!("{} min", millis / 60_000),
        millis if millis % 1_000 == 0 => format!("{} s", millis / 1_000),
        millis => format!("{millis} ms"),
    }
}

fn bytes(bytes: usize) -> String {
    let halves = bytes * 2 / (1024 * 1024);
    assert_eq!(halves * 1024 * 1024 / 2, bytes, "not a round number of MiB");
    if halves.is_multiple_of(2) { format!("{} MiB", halves / 2) } else { format!("{}.5 MiB", halves / 2) }
}

fn count(number: usize) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

#[test]
fn the_defaults_are_the_codes() {
    let layer = "## ResumeLayer";
    for (name, default) in [
        ("max_events", count(t::DEFAULT_MAX_EVENTS)),
        ("max_bytes", bytes(t::DEFAULT_MAX_BYTES)),
        ("max_event_bytes", bytes(t::DEFAULT_MAX_EVENT_BYTES)),
        ("eviction", format!("{:?}", t::Eviction::default())),
        ("state_ttl", time(t::DEFAULT_STATE_TTL)),
        ("snapshot_ttl", time(t::DEFAULT_SNAPSHOT_TTL)),
        ("token_ttl", time(t::DEFAULT_TOKEN_TTL)),
        ("event_ids", format!("{:?}", t::EventIds::default())),
        ("control_events", format!("{:?}", t::ControlEvents::default())),
        ("heartbeat", time(t::DEFAULT_HEARTBEAT)),
        ("retry", time(t::DEFAULT_RETRY)),
        ("gone_status", t::ResumeError::StreamExpired.status().as_str().to_owned()),
        ("detach_time", time(t::DEFAULT_DETACH_TIME)),
        ("when_alone", format!("{:?}", t::WhenAlone::default())),
        ("stall_time", time(t::DEFAULT_STALL_TIME)),
        ("durability", format!("{:?}", t::Durability::default())),
        ("store_out", format!("{:?}", t::StoreOut::default())),
        ("store_patience", time(t::DEFAULT_STORE_PATIENCE)),
        ("max_streams", count(t::DEFAULT_MAX_STREAMS)),
        ("max_principal_streams", count(t::DEFAULT_MAX_PRINCIPAL_STREAMS)),
        ("max_node_bytes", bytes(t::DEFAULT_MAX_NODE_BYTES)),
        ("max_stream_readers", count(t::DEFAULT_MAX_STREAM_READERS)),
        ("max_readers", count(t::DEFAULT_MAX_READERS)),
    ] {
        assert_eq!(default_of(layer, name), default, "{name}");
    }
    assert_eq!(default_of("## Idempotency", "wait"), time(t::DEFAULT_KEY_WAIT));
    assert!(format!("{:?}", Idempotency::new()).contains("shared_keys: false"));
    assert_eq!(default_of("## MemoryStore", "max_bytes"), bytes(MemoryStore::DEFAULT_MAX_BYTES));

    let environment = "## Environment";
    for (name, default) in [
        ("SSE_BUFFER_MAX_EVENTS", t::DEFAULT_MAX_EVENTS.to_string()),
        ("SSE_BUFFER_MAX_SIZE_MB", bytes(t::DEFAULT_MAX_BYTES).replace(" MiB", "")),
        ("SSE_STATE_TTL_SEC", t::DEFAULT_STATE_TTL.as_secs().to_string()),
        ("SSE_SNAPSHOT_TTL_SEC", t::DEFAULT_SNAPSHOT_TTL.as_secs().to_string()),
        ("SSE_RESUME_TTL_MS", t::DEFAULT_TOKEN_TTL.as_millis().to_string()),
    ] {
        assert_eq!(default_of(environment, name), default, "{name}");
    }
}

#[cfg(feature = "redis")]
#[test]
fn the_defaults_of_redis_are_the_codes() {
    let config = format!("{:?}", t::store::RedisConfig::new("redis://127.0.0.1"));
    let prefix = default_of("## RedisConfig", "prefix");
    assert!(config.contains(&format!("prefix: {prefix:?}")), "{config}");
    let timeout = default_of("## RedisConfig", "command_timeout").replace(' ', "");
    assert!(config.contains(&format!("command_timeout: {timeout}")), "{config}");
}

#[test]
fn what_cannot_be_set_is_what_the_code_has() {
    let limit = |name: &str| rows("## What cannot be set").into_iter().find(|row| row[0] == name).unwrap()[1].clone();
    assert_eq!(limit("a secret"), format!("{} bytes at least", Keys::MIN_SECRET_BYTES));
    assert_eq!(limit("a step's name"), format!("{} bytes", t::Step::MAX_BYTES));
    let chunk = format!(
        "{} events of up to {} KiB, or one larger event",
        t::store::CHUNK_MAX_EVENTS,
        t::store::CHUNK_MAX_BYTES / 1024
    );
    assert_eq!(limit("a chunk in the store"), chunk);
    for (name, source, constant) in [
        ("an Idempotency-Key", include_str!("../src/idempotency.rs"), "MAX_KEY_BYTES: usize = 255;"),
        ("clock skew", include_str!("../src/token.rs"), "CLOCK_SKEW_MS: u64 = 30_000;"),
        ("a resume's request body", include_str!("../src/settings.rs"), "MAX_DRAINED_BODY: usize = 1024 * 1024;"),
        ("a resume's request body", include_str!("../src/drain.rs"), "MAX_TIME: Duration = Duration::from_secs(5);"),
        (
            "a node's lease in Redis",
            include_str!("../src/store/redis/lease.rs"),
            "LEASE: Duration = Duration::from_secs(9);",
        ),
        ("a cancel's answer", include_str!("../src/cancel.rs"), "WITHIN: Duration = Duration::from_secs(2);"),
        ("a claim of a key", include_str!("../src/claim.rs"), "CLAIM_TTL: Duration = Duration::from_secs(60);"),
        ("reads of Redis under way on a node", include_str!("../src/store/redis/read.rs"), "IN_FLIGHT: usize = 64;"),
        (
            "looking after a log that Redis may lose",
            include_str!("../src/writer.rs"),
            "AFTERLIFE: Duration = Duration::from_secs(60);",
        ),
    ] {
        assert!(source.contains(constant), "{name}: the code has changed, and the page says {}", limit(name));
    }
}
