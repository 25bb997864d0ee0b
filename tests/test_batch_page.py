"""docs/batch.md: its transcripts, its Python examples, and the data set of PyTorch."""

import doctest
import re
import shutil
import subprocess
import sys

import pytest
from transcripts import ROOT, replay

pytest.importorskip("h5py", reason="h5py is not installed")

PAGE = ROOT / "docs" / "batch.md"


def test_page(tmp_path, monkeypatch):
    replay("docs/batch.md", tmp_path)
    # the transcripts end with a damaged file, which is rendered again
    (tmp_path / "ten/images_000000.h5").unlink()
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(>>> .*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, str(PAGE), str(PAGE), 0)
    said = []
    outcome = doctest.DocTestRunner().run(test, out=said.append)
    assert outcome.failed == 0, "".join(said)


def test_torch(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    shutil.copy(ROOT / "golden/inputs/cro_1orc_2A.hkl", tmp_path)
    stills = (ROOT / "examples/batch/stills.toml").read_text()
    (tmp_path / "stills.toml").write_text(stills.replace("repeat = 1000", "repeat = 10"))
    done = subprocess.run(
        [sys.executable, ROOT / "examples/batch/torch_dataset.py", "stills.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    shapes = sorted(line.partition(": ")[2].partition(", mean")[0] for line in done.stdout.splitlines())
    assert shapes == ["(2, 256, 256) (2, 4)"] + ["(4, 256, 256) (4, 4)"] * 2
