"""The examples of docs/library.md, run in the order of the page, in a folder with the inputs of the goldens."""

import doctest
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "library.md"


def test_examples(tmp_path, monkeypatch):
    for source in (ROOT / "golden" / "inputs").iterdir():
        shutil.copy(source, tmp_path)
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) > 5 and all(block.startswith(">>> ") for block in blocks)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, str(PAGE), str(PAGE), 0)
    said = []
    outcome = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    assert outcome.failed == 0, "".join(said)
    assert outcome.attempted > 30
