//! What the program says to those who ask on its command line.

use std::ffi::OsString;

/// All that can be set.
const USAGE: &str = "\
draft-graph: a server that drafts decision graphs as event streams that can be resumed. It takes no arguments.

What it reads of the environment (docs/configuration.md has the layer's own):

  PORT              the port on 127.0.0.1; 3101
  REDIS_URL         where streams are kept; in memory where it is not set
  SSE_RESUME_SECRET what tokens are signed with; made for this one run where it is not set
  DRAFT_PACE_MS     milliseconds for one event; 300
  DRAFT_MIN_EVENTS  a draft has that many events at least; 0
  DRAFT_DRAIN_SEC   seconds that open drafts have when it is told to stop; 25
  DRAFT_PAGE        `false` turns the page at / off, and the route that cuts its connections
  DD_AGENT_HOST     where to send metrics by DogStatsD (DD_AGENT_PORT, DD_SERVICE, DD_ENV); nowhere
  RUST_LOG          what is logged; tower_resume=info
";

/// Whether there is something to say instead of serving: what was asked for, or what is wrong.
pub(crate) fn asked(mut arguments: impl Iterator<Item = OsString>) -> Result<Option<&'static str>, String> {
    match arguments.next() {
        None => Ok(None),
        Some(argument) if argument == "--help" || argument == "-h" => Ok(Some(USAGE)),
        Some(argument) => {
            Err(format!("`{}` given, no argument expected; --help says more", argument.to_string_lossy()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Result<Option<&'static str>, String> {
        super::asked(arguments.iter().map(OsString::from))
    }

    #[test]
    fn who_asks_is_told_and_who_does_not_is_served() {
        assert_eq!(asked(&[]), Ok(None));
        assert_eq!(asked(&["--help"]), Ok(Some(USAGE)));
        assert_eq!(asked(&["-h", "x"]), Ok(Some(USAGE)));
        assert_eq!(asked(&["8080"]).unwrap_err(), "`8080` given, no argument expected; --help says more");
    }

    #[test]
    fn it_names_each_variable_that_is_documented_as_the_examples_own() {
        let own = include_str!("../../docs/configuration.md").split("## The example's own").nth(1).unwrap();
        let rows: Vec<_> = own.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert!(rows.len() > 5);
        for name in rows {
            assert!(USAGE.contains(name), "{name}");
        }
    }
}
