use super::*;

fn agent(variables: &[(&str, &str)]) -> Result<Option<Agent>, String> {
    Agent::from_env(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
}

#[test]
fn there_is_an_agent_where_the_environment_names_one() {
    assert_eq!(agent(&[]), Ok(None));
    assert_eq!(agent(&[("DD_AGENT_HOST", " "), ("DD_SERVICE", "drafts"), ("DD_AGENT_PORT", "9000")]), Ok(None));
    let plain = Agent { host: "localhost".to_owned(), port: 8125, tags: vec![] };
    assert_eq!(agent(&[("DD_AGENT_HOST", "localhost")]), Ok(Some(plain)));
    let all = [("DD_AGENT_HOST", "::1"), ("DD_AGENT_PORT", "9000"), ("DD_SERVICE", "drafts"), ("DD_ENV", "eu/test")];
    let tags = vec![("service", "drafts".to_owned()), ("env", "eu/test".to_owned())];
    assert_eq!(agent(&all), Ok(Some(Agent { host: "::1".to_owned(), port: 9000, tags })));
}

#[test]
fn what_is_no_good_is_refused_by_the_variables_name() {
    let long = "x".repeat(TAG_MAX_CHARS + 1);
    for (name, values) in [
        ("DD_AGENT_PORT", ["x", "0", "65536"]),
        ("DD_SERVICE", ["a,b:c", "two words", &long]),
        ("DD_ENV", ["a|b", "a#b", "a\nb"]),
    ] {
        for value in values {
            let error = agent(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(&format!("{name}: `{value}` given, ")), "{error}");
        }
    }
    for host in ["no such host", "256.1.1.1", "a/b", "[::1", ":::"] {
        let agent = agent(&[("DD_AGENT_HOST", host)]).unwrap().expect("an agent");
        let error = agent.recorder().err().expect("an error");
        assert!(error.starts_with(&format!("DD_AGENT_HOST: `{host}` given, ")), "{error}");
    }
}

#[test]
fn an_address_of_either_kind_is_taken() {
    for host in ["127.0.0.1", "::1", "[::1]", "localhost"] {
        let agent = Agent { host: host.to_owned(), port: 8125, tags: vec![] };
        assert!(agent.recorder().is_ok(), "{host}");
    }
}
