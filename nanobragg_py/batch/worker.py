"""A worker process of `nanobragg_py.batch.local`: reads the job, then numbers of units, and answers line by line.

Answers: ``images N`` now and then, for N more of them, ``unit`` after every unit, or a sentence as a JSON string for
what is wrong with the job. It ends when its input does, as when the process that started it is gone.
"""

import json
import os
import sys
import traceback
import warnings
from time import perf_counter
from typing import Any

from ..errors import DEBUG, NanoBraggError
from ..hints import NanoBraggWarning, sentence_of
from .images import Maker
from .jobs import Job
from .output import Output
from .store import Writer


def main() -> int:
    # answers go to what was standard output; whatever prints meanwhile prints on standard error
    warnings.simplefilter("ignore", NanoBraggWarning)  # the process that has started this one tells them once
    answers = os.dup(1)
    os.dup2(2, 1)

    def answer(line):
        try:
            os.write(answers, line.encode() + b"\n")
        except BrokenPipeError:
            sys.exit(1)  # nobody is there to take the images

    try:
        opening = json.loads(sys.stdin.readline())
        job = Job(opening["values"], opening["folder"], opening["name"])
        writer = Writer(Maker(job, opening["threads"], opening["worker"]), Output(**opening["output"]))
        meter = Meter(answer)
        for line in sys.stdin:
            writer.unit(int(line), meter)
            meter.tell()
            answer("unit")
    except NanoBraggError as error:
        answer(json.dumps(str(error)))
        return 2
    except MemoryError:
        answer(json.dumps("there is not enough memory for the images; use fewer workers"))
        return 2
    except Exception as error:
        if os.environ.get(DEBUG):
            traceback.print_exc()
        answer(json.dumps(sentence_of(error, ())))
        return 2
    return 0


class Meter:
    """Counts images, and tells of them now and then: whoever listens has to wake up for it."""

    SECONDS = 0.1

    def __init__(self, answer: Any) -> None:
        self.answer: Any = answer
        self.images: Any = 0
        self.told: Any = perf_counter()

    def __call__(self) -> None:
        self.images += 1
        if perf_counter() - self.told > self.SECONDS:
            self.tell()

    def tell(self) -> None:
        """Say how many images there were since the last time."""
        if self.images:
            self.answer(f"images {self.images}")
        self.images, self.told = 0, perf_counter()
