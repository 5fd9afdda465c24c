"""Balancer configurations: what stands in them, and what may not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from garrison.cluster.balancer import STREAM_MODULE, BalancedNode, Balancing, haproxy_conf, nginx_conf
from garrison.ground.errors import Refused

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
    ],
)
def test_nothing_is_smuggled_in(make, node: BalancedNode, how: Balancing) -> None:
    with pytest.raises(Refused):
        make([node], how)


def test_without_nodes_there_is_nothing_to_balance() -> None:
    with pytest.raises(Refused, match="no node is alive"):
        nginx_conf([], Balancing())


@pytest.mark.skipif(
    not Path(STREAM_MODULE).exists(), reason="nginx with its stream module is not installed (make deps)"
)
def test_nginx_takes_the_configuration(tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    assert nginx is not None
    conf = tmp_path / "nginx.conf"
    conf.write_text(nginx_conf(NODES, Balancing(bind="127.0.1.121", folder=tmp_path)))
    done = subprocess.run(
        [nginx, "-t", "-e", tmp_path / "e.log", "-c", conf], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
