"""The sections of an agent's `ossec.conf` (and of a group's `agent.conf`). Pure.

Source: spec/agent-channel.md 8.1 to 8.4.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from garrison.config import checks
from garrison.config.model import (
    ClientBufferConfig,
    ClientConfig,
    EnrollmentConfig,
    LabelConfig,
    LocalfileConfig,
    ServerConfig,
)
from garrison.config.reading import Faults, Section, whole
from garrison.config.xml import Element

UNSET_ADDRESSES = ("MANAGER_IP", "0.0.0.0")

LOG_FORMATS = [
    "syslog",
    "generic",
    "snort-fast",
    "snort-full",
    "apache",
    "iis",
    "squid",
    "syslog-pipe",
    "json",
    "mysql_log",
    "postgresql_log",
    "mssql_log",
    "djb-multilog",
    "nmapg",
    "ossecalert",
    "audit",
    "multi-line-regex",
    "command",
    "full_command",
    "eventlog",
    "eventchannel",
    "macos",
    "journald",
]


def read_client(sections: list[Section], faults: Faults) -> ClientConfig:
    """The `<client>` block; of several the last one counts for single options, servers add up."""
    config = ClientConfig()
    wrong_before = faults.error_count
    for section in sections:
        config = _client(section, config)
    if not config.servers and faults.error_count == wrong_before:
        line = sections[-1].element.line if sections else 0
        faults.add(
            line, "no server is configured (4112)", "<client><server><address>ADDRESS</address></server>"
        )
    if config.time_reconnect_s <= config.notify_time_s:
        seconds = 3 * config.notify_time_s
        given = [element for section in sections for element in section.element.named("time-reconnect")]
        if given:
            found = f"time-reconnect is not above notify_time: {seconds} s are used"
            faults.warn(given[-1].line, found, f"more than {config.notify_time_s}")
        config = replace(config, time_reconnect_s=seconds)
    return config


def _client(section: Section, before: ClientConfig) -> ClientConfig:
    servers = [*before.servers, *filter(None, (_server(server) for server in section.sections("server")))]
    servers += _flat_servers(section)
    enrollment = section.only("enrollment")
    config = ClientConfig(
        servers=tuple(servers),
        config_profile=section.text("config-profile", before.config_profile),
        notify_time_s=section.number("notify_time", 0, 0, 86400) or before.notify_time_s,
        time_reconnect_s=section.number("time-reconnect", 0, 0, 86400 * 7) or before.time_reconnect_s,
        force_reconnect_interval_s=section.interval(
            "force_reconnect_interval", before.force_reconnect_interval_s
        ),
        ip_update_interval_s=section.interval("ip_update_interval", before.ip_update_interval_s),
        auto_restart=section.flag("auto_restart", before.auto_restart),
        crypto_method=cast(Any, section.choice("crypto_method", before.crypto_method, ("aes", "blowfish"))),
        disable_active_response=section.flag("disable-active-response", before.disable_active_response),
        local_ip=section.text("local_ip", before.local_ip, checks.address_check),
        enrollment=_enrollment(enrollment) if enrollment is not None else before.enrollment,
    )
    section.finish()
    return config


def _server(section: Section) -> ServerConfig | None:
    address = section.text("address", "", checks.host_check)
    config = ServerConfig(
        address=address,
        port=section.number("port", 1514, 1, 65535),
        protocol=cast(Any, section.choice("protocol", "tcp", ("tcp", "udp"))),
        max_retries=section.number("max_retries", 5, 1, 1_000_000),
        retry_interval_s=section.number("retry_interval", 10, 1, 1_000_000),
        interface_index=section.number("interface_index", None, 0, 1_000_000),
    )
    section.finish()
    if address in UNSET_ADDRESSES or not address:
        if not section.element.named("address"):
            section.faults.add(
                section.element.line, "server without an address", "<address>ADDRESS</address>"
            )
        return None
    return config


def _flat_servers(section: Section) -> list[ServerConfig]:
    """The deprecated form: `server-ip` and `server-hostname`, with one port and protocol for all."""
    port = section.number("port", 1514, 1, 65535)
    protocol = cast(Any, section.choice("protocol", "tcp", ("tcp", "udp")))
    servers = []
    for name in ("server-ip", "server-hostname"):
        section.tell_old(name, "<server><address>ADDRESS</address></server>")
        for element in section.each(name):
            if (expected := checks.host_check(element.text)) is not None:
                section.wrong(element, expected)
            elif element.text not in UNSET_ADDRESSES:
                servers.append(ServerConfig(address=element.text, port=port, protocol=protocol))
    return servers


def _enrollment(section: Section) -> EnrollmentConfig:
    default = EnrollmentConfig()
    groups = section.text("groups", "")
    config = EnrollmentConfig(
        enabled=section.flag("enabled", default.enabled),
        manager_address=section.text("manager_address", default.manager_address, checks.host_check),
        port=section.number("port", default.port, 1, 65535),
        agent_name=section.text("agent_name", default.agent_name, checks.agent_name_check),
        groups=tuple(group.strip() for group in groups.split(",")) if groups else (),
        agent_address=section.text("agent_address", default.agent_address, checks.network_check),
        ssl_cipher=section.text("ssl_cipher", default.ssl_cipher),
        server_ca_path=section.text("server_ca_path", default.server_ca_path),
        agent_certificate_path=section.text("agent_certificate_path", default.agent_certificate_path),
        agent_key_path=section.text("agent_key_path", default.agent_key_path),
        authorization_pass_path=section.text("authorization_pass_path", default.authorization_pass_path),
        auto_method=section.flag("auto_method", default.auto_method),
        delay_after_enrollment_s=section.interval("delay_after_enrollment", default.delay_after_enrollment_s),
        use_source_ip=section.flag("use_source_ip", default.use_source_ip),
        interface_index=section.number("interface_index", default.interface_index, 0, 1_000_000),
    )
    section.finish()
    if config.use_source_ip and config.agent_address:
        line = section.element.line
        section.faults.add(line, "use_source_ip and agent_address exclude each other", "one of them")
    return config


def read_client_buffer(sections: list[Section], before: ClientBufferConfig) -> ClientBufferConfig:
    """All `<client_buffer>` blocks, later ones over `before`."""
    config = before
    for section in sections:
        section.tell_old("disable", "<disabled>")
        section.tell_old("length", "<queue_size>")
        config = ClientBufferConfig(
            disabled=section.flag("disabled", section.flag("disable", config.disabled)),
            queue_size=section.number(
                "queue_size", section.number("length", config.queue_size, 1, 100000), 1, 100000
            ),
            events_per_second=section.number("events_per_second", config.events_per_second, 1, 1000),
        )
        section.finish()
    return config


def read_localfile(section: Section) -> LocalfileConfig | None:
    """One `<localfile>`; None when it is wrong, which has been noted."""
    log_format = section.text("log_format", "")
    is_known = log_format in LOG_FORMATS or _is_multi_line(log_format)
    if not log_format:
        section.faults.add(
            section.element.line, "localfile without a log_format", "<log_format>syslog</log_format>"
        )
    elif not is_known:
        element = section.last("log_format")
        assert element is not None
        section.wrong(element, "one of " + ", ".join(LOG_FORMATS) + ", multi-line:N")
    section.allow("multiline_regex", "match", "replace", "timeout")
    section.allow("only-future-events", "max-size")
    section.allow("label", "key")
    multiline = section.last("multiline_regex")
    config = LocalfileConfig(
        log_format=log_format,
        location=section.text("location", None),
        command=section.text("command", None),
        alias=section.text("alias", None),
        frequency_s=_frequency(section),
        only_future_events=section.flag("only-future-events", True),
        max_size=_max_size(section),
        exclude=section.text("exclude", None),
        ignore_binaries=section.flag("ignore_binaries", False),
        targets=tuple(word.strip() for word in section.text("target", "agent").split(",")),
        out_format=section.text("out_format", None),
        labels=_localfile_labels(section),
        ignore=section.texts("ignore"),
        restrict=section.texts("restrict"),
        age_s=section.interval("age", None),
        query=section.text("query", None),
        multiline_regex=multiline.text if multiline else None,
        multiline_match=_word(section, multiline, "match", ("start", "all", "end")),
        multiline_replace=_word(section, multiline, "replace", ("no-replace", "none", "wspace", "tab")),
        multiline_timeout_s=_multiline_timeout(section, multiline),
        line=section.element.line,
    )
    section.tell_unused("reconnect_time", "filter")
    section.finish()
    if is_known and not _has_source(config):
        section.faults.add(section.element.line, "localfile without a source", "a <location>, or a <command>")
    return config if is_known and _has_source(config) else None


def _has_source(config: LocalfileConfig) -> bool:
    wants_command = config.log_format in ("command", "full_command")
    return bool(
        config.command if wants_command else config.location or config.log_format in ("macos", "journald")
    )


def _is_multi_line(log_format: str) -> bool:
    word, _, count = log_format.partition(":")
    return word == "multi-line" and (whole(count.strip()) or 0) > 0


def _frequency(section: Section) -> int:
    words = {"hourly": 3600, "daily": 86400}
    element = section.last("frequency")
    if element is not None and element.text in words:
        return words[element.text]
    return section.number("frequency", 360, 1, 10**9)


def _max_size(section: Section) -> int:
    default = 10 * 1024 * 1024
    element = section.last("only-future-events")
    text = element.attributes.get("max-size") if element is not None else None
    if element is None or text is None:
        return default
    units = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
    number = text.rstrip("BKMGkmgb")
    unit = text[len(number) :].upper() or "B"
    unit = unit if unit.endswith("B") else unit + "B"
    size = whole(number)
    if size is None or unit not in units:
        section.wrong_attribute(element, "max-size", "such as 10MB")
        return default
    return size * units[unit]


def _word(section: Section, element: Element | None, name: str, words: tuple[str, ...]) -> str:
    """An attribute that is one of `words`; the first one is the default."""
    if element is None or name not in element.attributes:
        return words[0]
    if element.attributes[name] not in words:
        section.wrong_attribute(element, name, "one of " + ", ".join(words))
        return words[0]
    return element.attributes[name]


def _multiline_timeout(section: Section, element: Element | None) -> int:
    if element is None or "timeout" not in element.attributes:
        return 5
    seconds = whole(element.attributes["timeout"])
    if seconds is None or not 1 <= seconds <= 120:
        section.wrong_attribute(element, "timeout", "1 to 120")
        return 5
    return seconds


def _localfile_labels(section: Section) -> tuple[LabelConfig, ...]:
    labels = []
    for element in section.each("label"):
        key = element.attributes.get("key", "")
        if key:
            labels.append(LabelConfig(key=key, value=element.text))
        else:
            section.faults.add(element.line, "label without a key", '<label key="name">value</label>')
    return tuple(labels)
