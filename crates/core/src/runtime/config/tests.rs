use super::*;

fn read(shape: Shape, values: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let value = |name: &str| values.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).into());
    Config::read(shape, value)
}

fn with(values: &[(&str, &str)]) -> Result<Config, ConfigError> {
    read(Shape::Half, values)
}

#[test]
fn nothing_needs_to_be_set() {
    let config = with(&[]).unwrap();

    assert_eq!(
        (config.port, config.worker_port, config.host.to_string().as_str()),
        (8080, 8081, "127.0.0.1")
    );
    assert_eq!((config.clickhouse, config.worker_roles.len()), (None, 4));
}

#[test]
fn the_whole_embeds_what_is_not_named_and_a_half_looks_for_it_on_this_host() {
    let alone = read(Shape::Whole, &[]).unwrap();
    let half = read(Shape::Half, &[]).unwrap();

    assert!(alone.state == StateAt::Sqlite("./data/pulse.db".into()));
    assert_eq!((alone.redis_url, alone.clickhouse), (None, None));
    assert!(matches!(half.state, StateAt::Postgres(_)));
    assert_eq!(half.redis_url.as_deref(), Some("redis://localhost:6379"));
}

#[test]
fn each_store_of_the_whole_can_be_moved_by_its_address() {
    let whole = |name, value| read(Shape::Whole, &[(name, value)]).unwrap();

    for (url, path) in
        [("sqlite://a/b.db", "a/b.db"), ("sqlite:///a/b.db", "/a/b.db"), ("sqlite:b.db", "b.db")]
    {
        assert!(whole("DATABASE_URL", url).state == StateAt::Sqlite(path.into()), "{url}");
    }
    assert!(matches!(whole("DATABASE_URL", "postgres://h/d").state, StateAt::Postgres(_)));
    assert!(whole("PULSE_DATA", "/x").state == StateAt::Sqlite("/x/pulse.db".into()));
    assert!(whole("REDIS_URL", "h:1").redis_url.is_some());
}

#[test]
fn private_targets_are_allowed_until_denied_and_then_by_network() {
    let policy = |values: &[(&str, &str)]| with(values).unwrap().targets;
    let reach = |policy: &AddressPolicy, address: &str| policy.permits(address.parse().unwrap());
    let deny = ("PRIVATE_TARGETS", "deny");

    assert!(reach(&policy(&[]), "127.0.0.1"));
    assert!(!reach(&policy(&[deny]), "127.0.0.1"));
    let some = policy(&[deny, ("ALLOWED_TARGETS", "10.1.0.0/16, 192.168.0.7,fd00::/8")]);
    assert!(["10.1.2.3", "192.168.0.7", "fd00::1"].iter().all(|it| reach(&some, it)));
    assert!(["10.2.0.1", "192.168.0.8", "fc00::1"].iter().all(|it| !reach(&some, it)));
    for wrong in
        [&[deny, ("ALLOWED_TARGETS", "10.1.0.0/33")][..], &[("ALLOWED_TARGETS", "10.1.0.0/16")]]
    {
        let error = with(wrong).unwrap_err().to_string();
        assert!(error.contains("ALLOWED_TARGETS"), "{error}");
    }
}

#[test]
fn name_servers_are_the_systems_until_others_are_named_with_a_port_or_without() {
    let read = |text| with(&[("NAME_SERVERS", text)]).map(|config| config.name_servers);

    assert_eq!(with(&[]).unwrap().name_servers, None);
    let named = read("10.0.0.53, 127.0.0.1:5353,fd00::53,[fd00::53]:5353").unwrap().unwrap();
    let named: Vec<_> = named.iter().map(ToString::to_string).collect();
    assert_eq!(named, ["10.0.0.53:53", "127.0.0.1:5353", "[fd00::53]:53", "[fd00::53]:5353"]);
    for wrong in ["dns.example", "10.0.0.53:0", "10.0.0.53:99999", "10.0.0.53,", "[fd00::53]"] {
        let error = read(wrong).unwrap_err().to_string();
        assert!(error.contains("NAME_SERVERS must be a list of addresses"), "{wrong}: {error}");
    }
}

#[test]
fn origins_are_read_as_browsers_write_them() {
    let read = |text| with(&[("ALLOWED_ORIGINS", text)]).map(|config| config.allowed_origins);

    assert_eq!(with(&[]).unwrap().allowed_origins, Vec::<String>::new());
    let named = read("https://Status.example, http://localhost:3000/,https://a.example:443");
    let expected = ["https://status.example", "http://localhost:3000", "https://a.example"];
    assert_eq!(named.unwrap(), expected);
    for wrong in ["*", "status.example", "https://a/b", "ftp://a", "null", "https://a,"] {
        let error = read(wrong).unwrap_err().to_string();
        assert!(error.contains("ALLOWED_ORIGINS must be a list"), "{wrong}: {error}");
    }
}

#[test]
fn one_process_alone_does_everything_itself() {
    let prober = ("WORKER_ROLES", "prober");

    let alone = read(Shape::Whole, &[prober]).unwrap_err().to_string();

    assert!(alone.contains("WORKER_ROLES must name all four"), "{alone}");
    assert!(read(Shape::Whole, &[prober, ("REDIS_URL", "h:1")]).is_ok());
    assert!(with(&[prober]).is_ok());
}

#[test]
fn a_state_that_is_no_file_and_no_postgres_is_told() {
    for wrong in ["mysql://h/d", "sqlite://", "sqlite:///a/", "sqlite::memory:", "data.db"] {
        let error = read(Shape::Whole, &[("DATABASE_URL", wrong)]).unwrap_err().to_string();
        assert!(error.contains("DATABASE_URL must"), "{wrong}: {error}");
    }
    let half = with(&[("DATABASE_URL", "sqlite://a.db")]).unwrap_err().to_string();
    assert!(half.contains("serves one process"), "{half}");
}

#[test]
fn every_wrong_setting_is_reported_at_once_and_no_value_is_repeated() {
    let error = with(&[
        ("DATABASE_URL", "postgres://root:hunter2@db:port/x"),
        ("PORT", "65536"),
        ("CLICKHOUSE_DSN", "clickhouse://u:hunter2@h:9000/d"),
        ("PULSE_SECRET_KEY", "hunter2"),
        ("WORKER_ROLES", "prober,cook"),
        ("LOG_FORMAT", "xml"),
        ("WORKER_CONCURRENCY", "0"),
    ])
    .unwrap_err()
    .to_string();

    for name in [
        "DATABASE_URL",
        "PORT",
        "CLICKHOUSE_DSN",
        "PULSE_SECRET_KEY",
        "WORKER_ROLES",
        "LOG_FORMAT",
        "WORKER_CONCURRENCY",
    ] {
        assert!(error.contains(name), "{name} is missing in {error}");
    }
    assert!(!error.contains("hunter2"));
}

#[test]
fn redis_may_be_told_as_host_and_port() {
    let redis = with(&[("REDIS_URL", "cache:6380")]).unwrap().redis_url;
    assert_eq!(redis.as_deref(), Some("redis://cache:6380"));
}

#[test]
fn a_cluster_may_be_told_by_several_of_its_nodes() {
    let nodes = ("REDIS_URL", "a:1, redis://b:2");
    let cluster = with(&[("REDIS_CLUSTER", "true"), nodes]).unwrap();

    assert!(cluster.redis_cluster);
    assert_eq!(cluster.redis_url.as_deref(), Some("redis://a:1,redis://b:2"));
    assert!(with(&[nodes]).unwrap_err().to_string().contains("REDIS_URL"));
    assert!(!with(&[]).unwrap().redis_cluster);
    let wrong = with(&[("REDIS_CLUSTER", "true"), ("REDIS_URL", "a:1,http://b")]);
    assert!(wrong.unwrap_err().to_string().contains("REDIS_URL"));
}

#[test]
fn the_example_lists_every_setting_with_its_default() {
    let example = include_str!("../../../../../.env.example");
    let listed: Vec<(&str, Option<&str>)> = example
        .lines()
        .filter_map(|line| match line.strip_prefix("# ") {
            Some(rest) => {
                rest.split_once('=').filter(|(name, _)| is_name(name)).map(|(name, _)| (name, None))
            }
            None => line.split_once('=').map(|(name, value)| (name, Some(value))),
        })
        .collect();

    let mut expected: Vec<Setting> = SETTINGS.into_iter().chain(SWITCHES).collect();
    let mut listed = listed;
    expected.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, expected);
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}
