"""Drive a headless browser over its DevTools protocol, through two pipes: no port, no driver, no package.

Messages are JSON objects that end in a zero byte; the browser reads them from descriptor 3 and writes them to 4.
https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    *("--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-gpu"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb", "--mute-audio"),
    "--disable-features=Translate,OptimizationHints,MediaRouter",
)
PATIENCE = 60.0  # seconds: the first start on a cold, busy machine takes many
_ABOVE = 10  # descriptors that are kept out of the way of 3 and 4
LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class Browser:
    """A headless browser with a profile of its own."""

    def __init__(self, program: str, profile: Path) -> None:
        to_browser, from_browser = _pipe(), _pipe()
        flags = [*FLAGS, f"--user-data-dir={profile}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            flags.append("--no-sandbox")  # Chromium's sandbox refuses to run as root

        ends = to_browser[0], from_browser[1]
        command = [sys.executable, "-c", LAUNCH, *map(str, ends), program, *flags, "about:blank"]
        self._process = subprocess.Popen(command, pass_fds=ends, stderr=subprocess.DEVNULL)
        for descriptor in ends:
            os.close(descriptor)
        self._out, self._in = to_browser[1], from_browser[0]
        self._answers: dict[int, queue.Queue] = {}
        self.events: list[dict] = []
        self._number = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict:
        """Ask for something and wait for the answer."""
        self._number += 1
        number, answer = self._number, queue.Queue()
        self._answers[number] = answer
        message = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        try:
            found = answer.get(timeout=PATIENCE)
        except queue.Empty:
            raise TimeoutError(f"{method}: no answer in {PATIENCE:g} s") from None
        if "error" in found:
            raise RuntimeError(f"{method}: {found['error']}")
        return found["result"]

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._out)

    def _listen(self) -> None:
        rest = b""
        while chunk := os.read(self._in, 1 << 16):
            *messages, rest = (rest + chunk).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    self._answers.pop(message["id"]).put(message)
                else:
                    self.events.append(message)
        os.close(self._in)
        for waiting in self._answers.values():
            waiting.put({"error": "the browser has gone"})


class Page:
    """A page in a browser, and what it did: requests, messages to the console, errors."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self.target = target
        self._browser, self._session = browser, session
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict:
        return self._browser.call(method, self._session, **parameters)

    def show(self, url: str, *, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Load a page on a screen of this size, for a user who prefers this colour scheme."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.prefer(scheme)
        self.call("Page.navigate", url="about:blank")  # else a page that is there already would only be scrolled
        self.wait_for("location.href === 'about:blank'")
        self._browser.events.clear()
        self.call("Page.navigate", url=url)
        self.wait_for("location.href !== 'about:blank' && document.readyState === 'complete'")

    def prefer(self, scheme: str, medium: str = "") -> None:
        """Prefer a colour scheme; show the page as this medium does."""
        self.call(
            "Emulation.setEmulatedMedia", media=medium, features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    def run(self, script: str) -> Any:
        """Return what an expression gives in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"].get("exception", {}).get("description", "the script failed"))
        return found["result"].get("value")

    def wait_for(self, script: str) -> None:
        """Wait until an expression is true in the page."""
        end = time.monotonic() + PATIENCE
        while not self.run(script):
            if time.monotonic() > end:
                raise TimeoutError(f"not true in {PATIENCE:g} s: {script}")
            time.sleep(0.02)

    def press(self, key: str, code: int) -> None:
        """Press a key and let it go."""
        text = {"text": "\r"} if key == "Enter" else {"text": " "} if key == " " else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    def picture(self, *, whole: bool = False) -> bytes:
        """Return a PNG of the screen, or of the whole page."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"])

    def pdf(self) -> bytes:
        """Return the page as it would be printed on A4."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": False}
        return base64.b64decode(self.call("Page.printToPDF", **paper)["data"])

    @property
    def requests(self) -> list[str]:
        """The addresses that the page asked for."""
        return [each["request"]["url"] for each in self._of("Network.requestWillBeSent")]

    @property
    def complaints(self) -> list[str]:
        """What stands in the console: messages, errors, and what the security policy kept from happening."""
        said = [str(each["args"]) for each in self._of("Runtime.consoleAPICalled")]
        said += [each["exceptionDetails"]["text"] for each in self._of("Runtime.exceptionThrown")]
        return said + [each["entry"]["text"] for each in self._of("Log.entryAdded")]

    def _of(self, method: str) -> list[dict]:
        events = [each for each in self._browser.events if each.get("sessionId") == self._session]
        return [each["params"] for each in events if each["method"] == method]


@contextmanager
def new_page(browser: Browser) -> Iterator[Page]:
    """Open an empty page in a context of its own, without anything that other pages have kept."""
    context = browser.call("Target.createBrowserContext")["browserContextId"]
    target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    try:
        yield Page(browser, target, session)
    finally:
        browser.call("Target.disposeBrowserContext", browserContextId=context)


def _pipe() -> tuple[int, int]:
    """Return a pipe whose ends lie above the descriptors that the browser expects its own on."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _ABOVE) for end in ends)
    for end in ends:
        os.close(end)
    return moved[0], moved[1]
