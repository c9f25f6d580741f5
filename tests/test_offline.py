"""The build takes its scripts from npm, checks them, and says so when it has to fall back to a CDN."""

import hashlib
import io
import tarfile
from dataclasses import replace
from types import SimpleNamespace

import offline
import pytest

FILES = {"dist/embed.js": b"script", "dist/icons.woff2": b"font", "dist/embed.js.map": b"map", "README.md": b"text"}


def packed(folder):
    """An npm archive with `FILES`, and the package that it is."""
    archive = folder / "package.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in FILES.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return archive, replace(offline.WIDGETS, sha256=digest)


@pytest.fixture
def said(monkeypatch):
    """What the build says."""
    lines = []
    monkeypatch.setattr(offline, "logger", SimpleNamespace(info=lambda text, *args: lines.append(text % args)))
    return lines


@pytest.fixture
def vendor(tmp_path, monkeypatch):
    """An empty vendor folder."""
    monkeypatch.setattr(offline, "VENDOR", tmp_path / "vendor")
    return tmp_path / "vendor"


def test_unpack_takes_the_wanted_files_only(tmp_path):
    archive, package = packed(tmp_path)
    target = tmp_path / "vendor" / package.folder
    target.parent.mkdir()
    offline.unpack(archive, package, target)
    found = {str(f.relative_to(target).as_posix()): f.read_bytes() for f in target.rglob("*") if f.is_file()}
    assert found == {name: FILES[name] for name in ("dist/embed.js", "dist/icons.woff2")}
    assert list(target.parent.iterdir()) == [target]


def test_unpack_refuses_an_altered_archive(tmp_path):
    archive, package = packed(tmp_path)
    with pytest.raises(ValueError, match=r"html-manager 1\.0\.15 has sha256 .*, expected 000"):
        offline.unpack(archive, replace(package, sha256="000"), tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_without_npm_the_pages_use_the_cdn_and_the_build_says_so(vendor, said, monkeypatch):
    monkeypatch.setattr(offline.shutil, "which", lambda name: None)
    assert offline.address(offline.MATHJAX) == "https://cdn.jsdelivr.net/npm/mathjax@3.2.2/es5/tex-svg-full.js"
    (line,) = said
    assert "mathjax comes from https://cdn.jsdelivr.net/npm" in line and "npm is not installed" in line
    assert not vendor.exists()


def test_with_npm_failing_the_pages_use_the_cdn(vendor, said, monkeypatch):
    def fail(*args, **options):
        raise offline.subprocess.CalledProcessError(1, "npm pack")

    monkeypatch.setattr(offline.shutil, "which", lambda name: "npm")
    monkeypatch.setattr(offline.subprocess, "run", fail)
    assert offline.address(offline.WIDGETS).startswith("https://cdn.jsdelivr.net/npm/@jupyter-widgets/html-manager@")
    assert "non-zero exit status 1" in said[0]


def test_what_is_there_is_not_fetched_again(vendor, said, monkeypatch):
    script = vendor / offline.MATHJAX.folder / offline.MATHJAX.script
    script.parent.mkdir(parents=True)
    script.write_text("script")
    monkeypatch.setattr(offline.shutil, "which", lambda name: pytest.fail("npm was looked for"))
    assert offline.address(offline.MATHJAX) == "vendor/mathjax-3.2.2/es5/tex-svg-full.js"
    assert said == ["offline: mathjax 3.2.2 is served by the book itself"]


def test_another_folder_may_be_named(vendor, monkeypatch, tmp_path):
    """What only the tests need is kept out of the book."""
    monkeypatch.setattr(offline.shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="npm is not installed"):
        offline.fetch(offline.MATHJAX, tmp_path / "elsewhere")
    script = tmp_path / "elsewhere" / offline.MATHJAX.folder / offline.MATHJAX.script
    script.parent.mkdir(parents=True)
    script.write_text("script")
    offline.fetch(offline.MATHJAX, tmp_path / "elsewhere")
    assert not vendor.exists()
