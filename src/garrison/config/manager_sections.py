"""The sections of a node's `ossec.conf` other than `<cluster>`. Pure.

Source: spec/agent-channel.md 2.6, 2.8, 8.6; spec/analysis.md 4, 13.1, 15, 16.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from garrison.config import checks
from garrison.config.model import (
    AlertsConfig,
    AuthConfig,
    FolderConfig,
    ForceConfig,
    GlobalConfig,
    LabelConfig,
    Protocol,
    RemoteConfig,
    RulesetConfig,
    RuleTestConfig,
)
from garrison.config.reading import Faults, Section
from garrison.ground.log import printable

_GLOBAL_WITHOUT_EFFECT = (
    "compress_alerts cti-url custom_alert_output email_from email_idsname email_log_source email_maxperhour "
    "email_reply_to email_to forward_to geoip6_db_path geoip_db_path geoipdb helo_server host_information "
    "integrity_checking limits picviz_output picviz_socket prelude_log_level prelude_output prelude_profile "
    "queue_size rootkit_detection smtp_server stats update_check white_list zeromq_client_cert zeromq_output "
    "zeromq_server_cert zeromq_uri"
).split()

_MIN_ROTATE_S = 600
_MOST_SESSIONS, _MOST_SESSION_S, _MOST_BEFORE_REFUSAL = 500, 31_536_000, 65_534
_LEAST_OUTPUT_BYTES, _MOST_OUTPUT_BYTES = 1_000_000, 1 << 40


def read_global(sections: list[Section]) -> GlobalConfig:
    """All `<global>` blocks, later ones over earlier ones."""
    config = GlobalConfig()
    for section in sections:
        config = GlobalConfig(
            jsonout_output=section.flag("jsonout_output", config.jsonout_output),
            alerts_log=section.flag("alerts_log", config.alerts_log),
            logall=section.flag("logall", config.logall),
            logall_json=section.flag("logall_json", config.logall_json),
            memory_size=section.number("memory_size", config.memory_size, 2048, 10_000_000),
            agents_disconnection_time_s=section.interval(
                "agents_disconnection_time", config.agents_disconnection_time_s, 1
            ),
            agents_disconnection_alert_time_s=section.interval(
                "agents_disconnection_alert_time", config.agents_disconnection_alert_time_s
            ),
            rotate_interval_s=_rotate_interval(section, config.rotate_interval_s),
            max_output_size=_max_output_size(section, config.max_output_size),
        )
        if section.flag("email_notification", False):
            element = section.last("email_notification")
            assert element is not None
            section.faults.warn(element.line, "no e-mail is sent by this product", "email_notification no")
        section.tell_unused(*_GLOBAL_WITHOUT_EFFECT)
        section.finish()
    return config


def _rotate_interval(section: Section, default: int) -> int:
    seconds = section.interval("rotate_interval", default)
    element = section.last("rotate_interval")
    if element is not None and seconds and not _MIN_ROTATE_S <= seconds <= 86400:
        section.wrong(element, f"0 for none, or {_MIN_ROTATE_S} s to 1d")
        return default
    return seconds


def _max_output_size(section: Section, default: int) -> int:
    size = section.size("max_output_size", default)
    element = section.last("max_output_size")
    if element is not None and size and not _LEAST_OUTPUT_BYTES <= size <= _MOST_OUTPUT_BYTES:
        section.wrong(element, f"0 for none, or {_LEAST_OUTPUT_BYTES} bytes to 1024G")
        return default
    return size


def read_alerts(sections: list[Section]) -> AlertsConfig:
    """All `<alerts>` blocks, later ones over earlier ones."""
    config = AlertsConfig()
    for section in sections:
        config = AlertsConfig(
            log_alert_level=section.number("log_alert_level", config.log_alert_level, 0, 16),
            email_alert_level=section.number("email_alert_level", config.email_alert_level, 0, 16),
        )
        section.tell_unused("use_geoip")
        section.finish()
    return config


def read_ruleset(sections: list[Section]) -> RulesetConfig:
    """All `<ruleset>` blocks together."""
    together: dict[str, tuple[Any, ...]] = {}

    def add(name: str, values: tuple[Any, ...]) -> None:
        together[name] = together.get(name, ()) + values

    for section in sections:
        add("decoder_dirs", _folders(section, "decoder_dir"))
        add("rule_dirs", _folders(section, "rule_dir"))
        for name in ("decoder_include", "rule_include", "decoder_exclude", "rule_exclude"):
            add(name, section.texts(name))
        section.tell_old("include", "<rule_include>")
        add("rule_include", section.texts("include"))
        add("lists", section.texts("list"))
        section.finish()
    return RulesetConfig(**together)


def _folders(section: Section, name: str) -> tuple[FolderConfig, ...]:
    folders = []
    section.allow(name, "pattern")
    for element in section.each(name):
        pattern = element.attributes.get("pattern", ".xml$")
        if element.attributes and "pattern" not in element.attributes:
            wrong = printable(", ".join(element.attributes), 60)
            section.faults.add(element.line, f"unknown attribute of {name}: {wrong}", "pattern")
        if element.text:
            folders.append(FolderConfig(path=element.text, pattern=pattern))
    return tuple(folders)


def read_rule_test(sections: list[Section]) -> RuleTestConfig:
    """All `<rule_test>` blocks, later ones over earlier ones. `threads` has no meaning here: one loop serves all."""
    config = RuleTestConfig()
    for section in sections:
        config = RuleTestConfig(
            enabled=section.flag("enabled", config.enabled),
            max_sessions=_cut(section, "max_sessions", config.max_sessions, _MOST_SESSIONS),
            session_timeout_s=_session_timeout(section, config.session_timeout_s),
        )
        threads = section.text("threads", None)
        if (
            threads is not None
            and threads != "auto"
            and not (threads.isdecimal() and 1 <= int(threads) <= 128)
        ):
            element = section.last("threads")
            assert element is not None
            section.wrong(element, "1 to 128, or auto")
        section.finish()
    return config


def _cut(section: Section, name: str, default: int, most: int) -> int:
    """A number above `most` is cut to it, with a warning, as stock managers do."""
    number = section.number(name, default, 1, _MOST_BEFORE_REFUSAL)
    element = section.last(name)
    if number > most and element is not None:
        section.faults.warn(element.line, f"{name} is {number}; taken as {most}", f"at most {most}")
    return min(number, most)


def _session_timeout(section: Section, default: int) -> int:
    seconds = section.interval("session_timeout", default, 1)
    element = section.last("session_timeout")
    if seconds > _MOST_SESSION_S and element is not None:
        found = f"session_timeout is {seconds} s; taken as {_MOST_SESSION_S} s"
        section.faults.warn(element.line, found, "at most a year")
    return min(seconds, _MOST_SESSION_S)


def read_labels(sections: list[Section]) -> tuple[LabelConfig, ...]:
    """All labels; of a repeated key the last value counts, and keys with `_` in front are passed over."""
    found: dict[str, LabelConfig] = {}
    for section in sections:
        section.allow("label", "key", "hidden")
        for element in section.each("label"):
            key = element.attributes.get("key", "")
            hidden = element.attributes.get("hidden", "no")
            if not key:
                section.faults.add(element.line, "label without a key", '<label key="name">value</label>')
            elif key.startswith("_"):
                found_word = f"label '{printable(key, 60)}' is passed over"
                section.faults.warn(element.line, found_word, "keys do not begin with '_'")
            elif hidden not in ("yes", "no"):
                section.wrong_attribute(element, "hidden", "yes or no")
            else:
                found[key] = LabelConfig(key=key, value=element.text, hidden=hidden == "yes")
        section.finish()
    return tuple(found.values())


def read_remote(section: Section) -> RemoteConfig:
    """One `<remote>` block."""
    default = RemoteConfig()
    connection = section.choice("connection", default.connection, ("secure", "syslog"))
    agents = section.sections("agents")
    config = RemoteConfig(
        connection=cast(Any, connection),
        port=section.number("port", 514 if connection == "syslog" else default.port, 1, 65535),
        protocols=_protocols(section, connection),
        local_ip=section.text("local_ip", default.local_ip, checks.address_check),
        ipv6=section.flag("ipv6", default.ipv6),
        queue_size=section.number("queue_size", default.queue_size, 1, 10_000_000),
        rids_closing_time_s=section.interval("rids_closing_time", default.rids_closing_time_s, 1),
        connection_overtake_time_s=section.number(
            "connection_overtake_time", default.connection_overtake_time_s, 0, 3600
        ),
        allow_higher_versions=_higher_versions(agents, default.allow_higher_versions),
        proxy_protocol=section.flag("proxy_protocol", default.proxy_protocol),
        proxy_trusted=_networks(section, "proxy_trusted"),
        allowed_ips=_networks(section, "allowed-ips"),
        denied_ips=_networks(section, "denied-ips"),
    )
    section.finish()
    line, faults = section.element.line, section.faults
    if config.proxy_protocol and not config.proxy_trusted:
        expected = "the balancer's address in <proxy_trusted>: anybody else could choose an address"
        faults.add(line, "proxy_protocol without proxy_trusted", expected)
    if config.proxy_trusted and not config.proxy_protocol:
        faults.warn(
            line, "proxy_trusted has no effect without proxy_protocol", "<proxy_protocol>yes</proxy_protocol>"
        )
    if config.connection == "syslog":
        if not config.allowed_ips:
            expected = "<allowed-ips> with an address or network: the port stays closed without one"
            faults.warn(line, "nobody may send syslog here", expected)
    elif config.allowed_ips or config.denied_ips:
        faults.warn(line, "allowed-ips and denied-ips have no effect on agents", "syslog only")
    return config


def _protocols(section: Section, connection: str) -> frozenset[Protocol]:
    element = section.last("protocol")
    if element is None:
        return frozenset({"udp"}) if connection == "syslog" else frozenset({"tcp"})
    words = {word.strip().lower() for word in element.text.split(",")}
    if not words or not words <= {"tcp", "udp"}:
        section.wrong(element, "tcp, udp or tcp,udp")
        return frozenset({"tcp"})
    return cast(frozenset[Protocol], frozenset(words))


def _networks(section: Section, name: str) -> tuple[str, ...]:
    values = []
    for element in section.each(name):
        if (expected := checks.network_check(element.text)) is not None:
            section.wrong(element, expected)
        else:
            values.append(element.text)
    return tuple(values)


def _higher_versions(sections: list[Section], default: bool) -> bool:
    allowed = default
    for section in sections:
        allowed = section.flag("allow_higher_versions", allowed)
        section.finish()
    return allowed


def read_auth(sections: list[Section], faults: Faults) -> AuthConfig:
    """The `<auth>` block; without one enrollment is off, as operators know it."""
    if not sections:
        return AuthConfig(disabled=True)
    section, default = sections[-1], AuthConfig()
    if len(sections) > 1:
        faults.warn(section.element.line, "there are multiple auth sections", "only the last one is used")
    config = AuthConfig(
        disabled=section.flag("disabled", default.disabled),
        remote_enrollment=section.flag("remote_enrollment", default.remote_enrollment),
        port=section.number("port", default.port, 1, 65535),
        local_ip=section.text("local_ip", default.local_ip, checks.address_check),
        ipv6=section.flag("ipv6", default.ipv6),
        use_source_ip=section.flag("use_source_ip", default.use_source_ip),
        purge=section.flag("purge", default.purge),
        use_password=section.flag("use_password", default.use_password),
        ciphers=section.text("ciphers", default.ciphers),
        ssl_agent_ca=section.text("ssl_agent_ca", default.ssl_agent_ca),
        ssl_verify_host=section.flag("ssl_verify_host", default.ssl_verify_host),
        ssl_manager_cert=section.text("ssl_manager_cert", default.ssl_manager_cert),
        ssl_manager_key=section.text("ssl_manager_key", default.ssl_manager_key),
        ssl_auto_negotiate=section.flag("ssl_auto_negotiate", default.ssl_auto_negotiate),
        force=_force(section),
        allow_higher_versions=_higher_versions(section.sections("agents"), default.allow_higher_versions),
    )
    if section.has("key_request"):
        line = section.element.named("key_request")[0].line
        faults.warn(line, "key_request is not supported", "unknown agents are looked up in the cluster")
    section.tell_unused("limit_maxagents")
    section.finish()
    return config


def _force(section: Section) -> ForceConfig:
    default = ForceConfig()
    force = section.only("force")
    old = _old_force(section, default, is_overruled=force is not None)
    if force is None:
        return old
    config = ForceConfig(
        enabled=force.flag("enabled", default.enabled),
        disconnected_time_enabled=_disconnected_enabled(force),
        disconnected_time_s=force.interval("disconnected_time", default.disconnected_time_s),
        after_registration_time_s=force.interval(
            "after_registration_time", default.after_registration_time_s
        ),
        key_mismatch=force.flag("key_mismatch", default.key_mismatch),
    )
    force.finish()
    return config


def _disconnected_enabled(force: Section) -> bool:
    """The attribute of `disconnected_time`, which also counts where the element is empty."""
    force.allow("disconnected_time", "enabled")
    elements = [element for element in force.each("disconnected_time") if "enabled" in element.attributes]
    if not elements:
        return True
    word = elements[-1].attributes["enabled"]
    if word not in ("yes", "no"):
        force.wrong_attribute(elements[-1], "enabled", "yes or no")
    return word != "no"


def _old_force(section: Section, default: ForceConfig, *, is_overruled: bool) -> ForceConfig:
    insert, time = section.last("force_insert"), section.last("force_time")
    for element in (insert, time):
        if element is not None:
            section.faults.warn(element.line, f"{element.name} is deprecated", "<force> with its options")
    config = default
    if insert is not None:
        config = replace(config, enabled=section.flag("force_insert", default.enabled))
    if time is not None:
        seconds = section.number("force_time", default.disconnected_time_s, 0, 10**9)
        config = replace(config, disconnected_time_s=seconds, disconnected_time_enabled=seconds > 0)
    return default if is_overruled else config
