"""`garrison agent`: the process in the foreground and the signals that control it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from garrison.wire import control
from garrison.wire.client_keys import KeyEntry
from tests.support.scripted_manager import manager
from tests.support.wait import until

ENTRY = KeyEntry(id="001", name="web01", ip="any", key="a" * 64)
CONF = """<ossec_config>
  <client><server><address>127.0.0.1</address><port>{port}</port></server>
    <enrollment><enabled>no</enabled></enrollment></client>
  {more}
</ossec_config>
"""


def test_signals(tmp_path: Path) -> None:
    async def play() -> None:
        for folder in ("etc", "logs"):
            (tmp_path / folder).mkdir()
        (tmp_path / "etc/client.keys").write_text(ENTRY.line() + "\n")
        conf = tmp_path / "etc/ossec.conf"
        async with manager(ENTRY) as node:
            conf.write_text(CONF.format(port=node.port, more=""))
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "garrison.cli.main", "agent", "--home", str(tmp_path),
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(os.environ),
            )  # fmt: skip
            try:
                await until(lambda: node.keepalives, within_s=20)
                labels = '<labels><label key="site">demo</label></labels>'
                conf.write_text(CONF.format(port=node.port, more=labels))
                process.send_signal(signal.SIGHUP)
                await until(lambda: b'"site":demo\n' in node.keepalives[-1])
                process.send_signal(signal.SIGTERM)
                output, _ = await asyncio.wait_for(process.communicate(), 5)
            finally:
                if process.returncode is None:
                    process.kill()
            assert process.returncode == 0
            assert output == b""
            assert node.messages[-1] == control.SHUTDOWN

    asyncio.run(play())


def test_a_folder_that_is_no_home(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "garrison.cli.main", "agent", "--home", str(tmp_path)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "is no home folder" in done.stderr
