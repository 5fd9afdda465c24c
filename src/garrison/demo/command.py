"""`garrison demo`: plays the walkthrough, says how it went, and ends what it started."""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

from garrison.demo.stage import Failed, Stage
from garrison.demo.walkthrough import Walkthrough


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `garrison demo`."""
    parser.add_argument("--folder", default="demo-home", help="where the nodes and agents live (made anew)")
    parser.add_argument("--log", metavar="FILE", help="log lines to ship (default: lines that are made up)")
    parser.add_argument("--keep", action="store_true", help="leave everything running, to be explored")


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 when every step went as it must."""
    folder = Path(arguments.folder).absolute()
    log = Path(arguments.log) if arguments.log else None
    story = Walkthrough(Stage(folder), log if log is not None and log.is_file() else None)
    story.end()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.monotonic()
    verdict = "PASSED"
    try:
        story.play()
    except (Failed, OSError) as error:
        verdict = f"FAILED: {error}"
    except KeyboardInterrupt:
        verdict = "FAILED: interrupted"
    finally:
        story.stage.end_step()
        if not arguments.keep:
            story.end()
    for title, seconds in story.stage.timings:
        print(f"  {seconds:5.1f} s  {title}")
    print(f"  {time.monotonic() - began:5.1f} s  in all")
    print(f"\nVerdict: {verdict}")
    if arguments.keep:
        print(f"Everything runs on. Look around with {folder}/master/bin/cluster_control -l; end it with:")
        print(f"  for each in {folder}/*/bin/garrison-control; do $each stop; done")
    return 0 if verdict == "PASSED" else 1
