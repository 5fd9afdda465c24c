"""Balancer configurations: what stands in them, and what may not."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.cluster.balancer import STREAM_MODULE, BalancedNode, Balancing, haproxy_conf, nginx_conf
from garrison.ground.errors import Refused

Make = Callable[[Sequence[BalancedNode], Balancing], str]

NODES = [
    BalancedNode(name="worker-1", address="127.0.1.210"),
    BalancedNode(name="worker-2", address="2001:db8::2", can_enroll=False),
]


def test_agents_go_everywhere_and_enrollment_where_it_can() -> None:
    text = nginx_conf(NODES, Balancing(bind="127.0.1.120"))
    assert text.count("server 127.0.1.210:1514 ") == 1 and text.count("server [2001:db8::2]:1514 ") == 1
    assert text.count("server 127.0.1.210:1515 ") == 1 and "[2001:db8::2]:1515" not in text
    assert "listen 127.0.1.120:1514;" in text and "proxy_protocol on" not in text
    assert "proxy_protocol on;" in nginx_conf(NODES, Balancing(send_proxy=True))
    text = haproxy_conf(NODES, Balancing(send_proxy=True))
    assert "server worker-2 [2001:db8::2]:1514 check inter 3s fall 2 rise 1 send-proxy-v2" in text
    assert "[2001:db8::2]:1515" not in text


@pytest.mark.parametrize("make", [nginx_conf, haproxy_conf])
@pytest.mark.parametrize(
    ("node", "how"),
    [
        (BalancedNode(name="a;b", address="10.0.0.1"), Balancing()),
        (BalancedNode(name="a", address="10.0.0.1;\nx"), Balancing()),
        (BalancedNode(name="a", address="10.0.0.1"), Balancing(bind="0.0.0.0; }")),
        (BalancedNode(name="a", address="10.0.0.1"), Balancing(folder=Path("/tmp/x;y"))),
        (BalancedNode(name="a", address="10.0.0.1"), Balancing(folder=Path("/tmp/x y"))),
        (BalancedNode(name="a", address="10.0.0.1"), Balancing(folder=Path("/tmp/$x"))),
        (BalancedNode(name="a", address="10.0.0.1"), Balancing(folder=Path("tmp"))),
        (BalancedNode(name="a", address="fe80::1%x;}"), Balancing()),
        (BalancedNode(name="a", address="fe80::1%eth0"), Balancing()),
        (BalancedNode(name="a", address="::::"), Balancing()),
        (BalancedNode(name="a\n", address="10.0.0.1"), Balancing()),
        (BalancedNode(name="a", address="10.0.0.1", agent_port=0), Balancing()),
        (BalancedNode(name="a", address="10.0.0.1"), Balancing(agent_port=65536)),
        (BalancedNode(name="a", address="10.0.0.1"), Balancing(agent_port=1515)),
        (BalancedNode(name="a", address="10.0.0.1"), Balancing(bind="a.example")),
    ],
)
def test_nothing_is_smuggled_in(make: Make, node: BalancedNode, how: Balancing) -> None:
    with pytest.raises(Refused):
        make([node], how)


@pytest.mark.parametrize("make", [nginx_conf, haproxy_conf])
def test_two_nodes_of_one_name_are_refused(make: Make) -> None:
    with pytest.raises(Refused, match="two nodes have the same name"):
        make([NODES[0], NODES[0]], Balancing())


@pytest.mark.parametrize("make", [nginx_conf, haproxy_conf])
def test_a_cluster_where_none_can_enroll_has_no_empty_group(make: Make) -> None:
    text = make(NODES[1:], Balancing())
    assert "Enrollment: no node offers it" in text and "1515" not in text


def test_haproxy_starts_under_any_limit_on_open_files() -> None:
    """A fixed number above the limit would keep it from starting as an ordinary user."""
    assert "maxconn" not in haproxy_conf(NODES, Balancing())


def test_agents_go_to_the_emptiest_node_or_always_to_the_same() -> None:
    assert "least_conn;" in nginx_conf(NODES, Balancing())
    assert "hash $remote_addr consistent;" in nginx_conf(NODES, Balancing(hash_by_client=True))
    assert "balance leastconn" in haproxy_conf(NODES, Balancing())
    assert "balance source" in haproxy_conf(NODES, Balancing(hash_by_client=True))


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_whatever_a_node_calls_itself_no_line_is_added(name: str, address: str, bind: str) -> None:
    plain = nginx_conf([BalancedNode(name="a", address="10.0.0.1")], Balancing()).count("\n")
    try:
        text = nginx_conf([BalancedNode(name=name, address=address)], Balancing(bind=bind))
    except Refused:
        return
    assert text.count("\n") == plain and text.count("{") == text.count("}") == 6


def test_without_nodes_there_is_nothing_to_balance() -> None:
    with pytest.raises(Refused, match="no node is alive"):
        nginx_conf([], Balancing())


@pytest.mark.skipif(
    not Path(STREAM_MODULE).exists(), reason="nginx with its stream module is not installed (make deps)"
)
@pytest.mark.parametrize(
    ("nodes", "how"),
    [
        (NODES, Balancing(bind="127.0.1.121")),
        (NODES, Balancing(bind="::1", hash_by_client=True, send_proxy=True)),
        (NODES[1:], Balancing(bind="127.0.1.121")),
    ],
)
def test_nginx_takes_the_configuration(nodes: list[BalancedNode], how: Balancing, tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    assert nginx is not None
    conf = tmp_path / "nginx.conf"
    conf.write_text(nginx_conf(nodes, replace(how, folder=tmp_path)))
    done = subprocess.run(
        [nginx, "-t", "-e", tmp_path / "e.log", "-c", conf], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    shutil.which("haproxy", path="/usr/sbin:/usr/bin") is None, reason="haproxy is not installed"
)
@pytest.mark.parametrize("how", [Balancing(), Balancing(hash_by_client=True, send_proxy=True)])
def test_haproxy_takes_the_configuration(how: Balancing, tmp_path: Path) -> None:
    haproxy = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
    assert haproxy is not None
    conf = tmp_path / "haproxy.cfg"
    conf.write_text(haproxy_conf(NODES, replace(how, folder=tmp_path)))
    done = subprocess.run([haproxy, "-c", "-f", conf], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
