"""Where settings come from, which of several counts, and what is never shown."""

from pathlib import Path

import pytest

from tocsin.settings import VARIABLES, SettingsError, effective, load, open_secrets

OF_THE_ORIGIN = {
    "WHMCS_ENV": ("development", "staging", "production", "development"),
    "NTFY_SERVER_URL": ("https://one.example", "https://two.example", "https://three.example", "https://four.example"),
    "NTFY_TOPIC": ("one", "two", "three", "four"),
    "NOTIFICATION_EMAIL": ("one@example.com", "two@example.com", "three@example.com", "four@example.com"),
    "WHMCS_URL": ("https://one.example", "https://two.example", "https://three.example", "https://four.example"),
    "WHMCS_API_ID": ("one", "two", "three", "four"),
    "WHMCS_API_SECRET": ("one", "two", "three", "four"),
}
OTHERS = {"WHMCS_URL": "https://billing.example.com", "WHMCS_API_ID": "id", "WHMCS_API_SECRET": "secret"}
HUSH = {
    "TOCSIN_DATABASE_URL": "postgresql://tocsin:hush-hush@db.example.com/tocsin",
    "TOCSIN_SMTP_URL": "smtp://robot:hush-hush@mail.example.com",
    "TOCSIN_SLACK_TOKEN": "xoxb-hush-hush-hush",
    "TOCSIN_TELEGRAM_TOKEN": "123456789:hush-hush-hush-hush-hush-hush-hush",
    "TOCSIN_HEARTBEAT_URL": "https://hc-ping.com/hush-hush",
    "NTFY_TOKEN": "tk_hush-hush",
    "WHMCS_URL": "https://billing.example.com",
    "WHMCS_API_ID": "hush-hush",
    "WHMCS_API_SECRET": "hush-hush",
}


@pytest.mark.claim("O2", "origin:A3", "C1", "C2", "C3", "C4", "C5", "C6", "C7")
@pytest.mark.parametrize("name", OF_THE_ORIGIN)
def test_the_environment_wins_over_a_named_file_over_a_credential_over_the_configuration_file(tmp_path: Path, name: str) -> None:
    in_environment, in_file, in_credential, in_toml = OF_THE_ORIGIN[name]
    variable = next(variable for variable in VARIABLES if variable.name == name)

    def value() -> object:
        others = {other: text for other, text in OTHERS.items() if other != name and name in OTHERS}
        return getattr(load({**others, **environment}, config), variable.fields[0])

    config = tmp_path / "tocsin.toml"
    config.write_text(f'{name} = "{in_toml}"')
    environment: dict[str, str] = {}
    assert value() == in_toml
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / name).write_text(f"{in_credential}\n")
    environment["CREDENTIALS_DIRECTORY"] = str(tmp_path / "credentials")
    assert value() == in_credential
    (tmp_path / "file").write_text(f"{in_file}\n")
    environment[f"{name}_FILE"] = str(tmp_path / "file")
    assert value() == in_file
    environment[name] = ""
    assert value() == in_file
    environment[name] = in_environment
    assert value() == in_environment


@pytest.mark.claim("origin:A3")
def test_without_any_setting_it_is_a_production_on_this_machine_alone(tmp_path: Path) -> None:
    settings = load({"TOCSIN_DATA_DIR": str(tmp_path)})
    assert (settings.whmcs_env, settings.listen_host, settings.public_url) == ("production", "127.0.0.1", "http://127.0.0.1:8400")
    assert settings.database_url == f"sqlite:///{tmp_path}/tocsin.db"


@pytest.mark.claim("O2")
@pytest.mark.parametrize("environment", ["development", "staging", "production"])
def test_what_is_not_set_is_what_whoever_moves_here_is_used_to(environment: str) -> None:
    settings = load({"WHMCS_ENV": environment})
    assert settings.ntfy_topic == "whmcs-alerts"
    assert (settings.response_time_warning, settings.response_time_critical) == (3_000, 5_000)
    assert (settings.cpu_warning, settings.memory_warning, settings.disk_warning) == (80, 90, 85)
    assert settings.ssl_expiry_warning_days == 30
    assert (settings.ntfy_server_url, settings.ntfy_token, settings.notification_email, settings.whmcs_url) == (None,) * 4


@pytest.mark.claim("origin:A3", "Q3")
def test_the_configuration_file_of_the_data_folder_is_found_and_one_that_is_named_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "tocsin.toml").write_text('NTFY_TOPIC = "alerts-7f3k9q"\nTOCSIN_MESSAGES_PER_MINUTE = 20')
    settings = load({"TOCSIN_DATA_DIR": str(tmp_path)})
    assert (settings.ntfy_topic, settings.messages_per_minute) == ("alerts-7f3k9q", 20)
    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read"):
        load({}, tmp_path / "nowhere.toml")


@pytest.mark.claim("origin:A3", "Q3")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("NTFY_TOPPIC = 'a'", "sets NTFY_TOPPIC, which is no setting. Known: CPU_WARNING_THRESHOLD, DISK_WARNING_THRESHOLD"),
        ("NTFY_TOPIC = true", 'sets NTFY_TOPIC to neither a text nor a whole number. Example: NTFY_TOPIC = "whmcs-alerts"'),
        ("NTFY_TOPIC = 'a b'", "NTFY_TOPIC is 'a b', but may hold letters, digits, - and _ only"),
        ("NTFY_TOPIC = ", "is not TOML"),
    ],
)
def test_what_is_wrong_in_the_configuration_file_is_named_with_what_would_be_right(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "tocsin.toml").write_text(text)
    with pytest.raises(SettingsError) as refused:
        load({}, tmp_path / "tocsin.toml")
    assert complaint in str(refused.value)


@pytest.mark.claim("K26", "origin:A4")
@pytest.mark.parametrize("word", ["prod", "Production", "test", "../staging"])
def test_an_environment_that_is_none_stops_the_start(word: str) -> None:
    with pytest.raises(SettingsError, match="must be one of development, staging, production"):
        load({"WHMCS_ENV": word})


@pytest.mark.claim("origin:A5", "C7", "S7")
def test_no_secret_is_in_what_is_shown_or_complained_of(tmp_path: Path) -> None:
    settings = load({**HUSH, "TOCSIN_DATA_DIR": str(tmp_path)})
    shown = effective(settings)
    assert shown["WHMCS_API_SECRET"] == "(set)"
    assert "hush-hush" not in f"{shown} {settings!r}"
    for name in HUSH:
        if name != "WHMCS_URL":
            with pytest.raises(SettingsError) as refused:
                load({**HUSH, name: "hush-hush  hush-hush"})
            assert name in str(refused.value)
            assert "hush-hush" not in str(refused.value)


@pytest.mark.parametrize(("content", "complaint"), [(None, "No such file"), (b"", "is empty"), (b"\xff\xfe\xff", "it is not text")])
def test_a_secret_file_that_holds_no_secret_stops_the_start(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(SettingsError, match=complaint) as refused:
        load({"NTFY_TOKEN_FILE": str(tmp_path / "token")})
    assert f"NTFY_TOKEN_FILE names {tmp_path}/token" in str(refused.value)


@pytest.mark.claim("origin:A5", "S8")
def test_a_secret_in_a_file_that_everybody_may_read_is_found(tmp_path: Path) -> None:
    token, config, topic = tmp_path / "token", tmp_path / "tocsin.toml", tmp_path / "topic"
    token.write_text("tk_1")
    topic.write_text("alerts")
    config.write_text('TOCSIN_SMTP_URL = "smtp://robot:hush@mail.example.com"')
    environment = {"NTFY_TOKEN_FILE": str(token), "NTFY_TOPIC_FILE": str(topic), "NTFY_SERVER_URL_FILE": ""}
    for path in (token, topic, config):
        path.chmod(0o644)
    assert open_secrets(environment, config) == [token, config]
    token.chmod(0o640)
    config.write_text('NTFY_TOPIC = "alerts"')
    assert open_secrets(environment, config) == []


def test_a_critical_response_time_is_never_below_the_warning(tmp_path: Path) -> None:
    base = {"TOCSIN_DATA_DIR": str(tmp_path)}
    assert load(base | {"RESPONSE_TIME_WARNING": "8000"}).response_time_critical == 8_000
    assert load(base | {"RESPONSE_TIME_WARNING": "1000"}).response_time_critical == 5_000
    with pytest.raises(SettingsError, match="RESPONSE_TIME_CRITICAL is 2000, which is below RESPONSE_TIME_WARNING, 3000"):
        load(base | {"RESPONSE_TIME_CRITICAL": "2000"})
