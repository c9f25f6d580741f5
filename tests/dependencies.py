"""Known vulnerabilities and licences of all that the book is made with: `make audit`.

Usage: python tests/dependencies.py

pip-audit asks the Python Packaging Authority's advisory service about every package of this environment, pip-licenses
lists their licences; both, in the versions below, live in an environment of their own, `_build/audit`. The licences of
what the built pages take from npm are listed too. The exit status is 1 for a known vulnerability and for a licence
outside `ALLOWED`. Where the service or the package index cannot be reached this says so, and what was not asked does
not count as a failure.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / "book" / "_ext"), str(ROOT / "tests" / "browser")]

import axe  # noqa: E402
import offline  # noqa: E402

TOOLS = ("pip-audit==2.10.1", "pip-licenses==5.5.5")
ENVIRONMENT = ROOT / "_build" / "audit"
ALLOWED = {
    "0BSD", "Apache", "Apache 2.0", "Apache License", "Apache License, Version 2.0", "Apache Software License",
    "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD License", "BSD-2-Clause", "BSD-3-Clause",
    "BSL-1.0", "CC0-1.0", "ISC", "ISC License (ISCL)", "MIT", "MIT License", "MIT-0", "MIT-CMU", "MPL-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)", "PSF-2.0", "Public Domain", "Python Software Foundation License",
    "The Unlicense (Unlicense)", "Unlicense", "Zlib",
}  # fmt: skip
"""Licences under which a package may be used beside code under MIT: permissive ones, and MPL-2.0, which binds changes
of its own files alone."""
NO_LICENCES = {"DFSG approved"}
"""What stands among licences and is none."""
READ = {"docutils": "GPL is the licence of one file for Emacs, which its wheel leaves out; the rest is permissive"}
"""Packages whose licences a person has read, and what was found. Those called nvidia-... come with a torch that has
CUDA, under NVIDIA's own terms; nothing here ships them."""
FROM_NPM = {offline.MATHJAX: "Apache-2.0", offline.WIDGETS: "BSD-3-Clause", axe.AXE: "MPL-2.0"}
"""Scripts that are fetched by npm: into the book, but for axe-core, which only tests it."""
IN_THE_THEME = "pydata-sphinx-theme: Bootstrap (MIT), Font Awesome Free (MIT, CC-BY-4.0 and OFL-1.1)"


def outside(name: str, licence: str) -> list[str]:
    """The parts of a package's licence that are not allowed; of alternatives (OR) one that is suffices."""
    if name in READ or name.startswith("nvidia-"):
        return []
    parts = re.split(r"\s*;\s*|\s+AND\s+", licence)
    return [part for part in parts if not {*re.split(r"\s+OR\s+", part)} & (ALLOWED | NO_LICENCES)]


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=ROOT)


def tool(name: str) -> Path:
    """Where a tool of the audit's own environment is; made and filled first if need be."""
    folder = ENVIRONMENT / ("Scripts" if sys.platform == "win32" else "bin")
    asked = ENVIRONMENT / "tools.txt"
    if not asked.exists() or asked.read_text().split() != [*TOOLS]:
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
        done = run(folder / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *TOOLS)
        if done.returncode:
            raise OSError(f"{' and '.join(TOOLS)} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
        asked.write_text("\n".join(TOOLS))
    return folder / name


def vulnerabilities() -> tuple[list[str], str]:
    """A line for each known vulnerability of a package here, and what to say of the asking."""
    done = run(
        tool("pip-audit"), "--path", sysconfig.get_path("purelib"), "--format", "json", "--progress-spinner", "off"
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return [], f"NO NETWORK: the advisory service cannot be reached, nothing is known ({last[:200]})"
    return judged(packages)


def judged(packages: list[dict]) -> tuple[list[str], str]:
    """The vulnerabilities in what pip-audit returns; a service that knows hardly a package is not the service."""
    asked = [package for package in packages if "skip_reason" not in package]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if len(asked) < len(packages) / 2:
        return (
            [],
            f"NO NETWORK: the advisory service cannot be reached: it knows {len(asked)} of {len(packages)} packages",
        )
    found = [
        f"{package['name']} {package['version']}: {one['id']}, fixed in {', '.join(one['fix_versions']) or 'none'}"
        for package in asked
        for one in package["vulns"]
    ]
    return (
        found,
        f"{len(asked)} packages asked about, {len(found)} vulnerabilities; unknown: {', '.join(unknown) or 'none'}",
    )


def licences() -> list[tuple[str, str]]:
    """Each package of this environment with its licence, and each that npm brings."""
    done = run(tool("pip-licenses"), "--python", sys.executable, "--from", "mixed", "--format", "json")
    if done.returncode:
        raise OSError(f"pip-licenses failed: {done.stderr.strip()}")
    rows = [(row["Name"], row["License"]) for row in json.loads(done.stdout)]
    return rows + [(f"{package.name} (npm)", said_by_npm(package) or known) for package, known in FROM_NPM.items()]


def said_by_npm(package: offline.Package) -> str:
    """The licence that the npm registry names; nothing where it cannot be asked."""
    npm = shutil.which("npm")
    return run(npm, "view", f"{package.name}@{package.version}", "license").stdout.strip() if npm else ""


def main() -> int:
    """Print the licences and the vulnerabilities; the exit status is 1 if there is a reason to act."""
    try:
        rows = licences()
        found, said = vulnerabilities()
    except OSError as error:
        print(f"NOT AUDITED: {error}", file=sys.stderr)
        return 0
    by_licence = defaultdict(list)
    for name, licence in rows:
        by_licence[licence].append(name)
    for licence, names in sorted(by_licence.items(), key=lambda item: (-len(item[1]), item[0])):
        print(f"{licence} ({len(names)}): {', '.join(sorted(names, key=str.lower))}")
    print(f"within a theme: {IN_THE_THEME}")
    wrong = [f"{name}: {', '.join(parts)}" for name, licence in rows if (parts := outside(name, licence))]
    print(f"\nlicences: {len(rows)} packages, {len(wrong)} outside the list of tests/dependencies.py")
    print(f"vulnerabilities: {said}")
    for line in [*wrong, *found]:
        print(f"  {line}")
    return 1 if wrong or found else 0


if __name__ == "__main__":
    sys.exit(main())
