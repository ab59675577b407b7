"""Find the browser that tests/browser drives: Chromium or Chrome. On Debian and Ubuntu, as root, install it.

    python tests/environment/browser.py

Exit status 0 when there is one; else 1, and stderr says what to install.
"""

import os
import shutil
import subprocess
import sys

VARIABLE = "BRAIN_ADAPTERS_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
ADVICE = (
    "tests/browser needs Chromium or Chrome, and none was found. Install it (Debian: apt-get install chromium; "
    f"macOS: brew install --cask google-chrome), or say where it is: {VARIABLE}=/path/to/chromium"
)


def find_browser() -> str | None:
    """Return the path of a browser, None when there is none."""
    named = os.environ.get(VARIABLE)
    if named:
        return shutil.which(named)
    return next((found for name in (*NAMES, MAC) if (found := shutil.which(name))), None)


def install() -> None:
    """Install Debian's package, quietly; what apt says is shown when it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.stderr.write(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}\n")
            return


if __name__ == "__main__":
    if find_browser() is None and shutil.which("apt-get") and getattr(os, "geteuid", lambda: 1)() == 0:
        sys.stdout.write("== installing chromium, which tests/browser drives\n")
        sys.stdout.flush()
        install()
    sys.exit(None if find_browser() else ADVICE)
