"""Everything that leaves the functions of a sandbox: what they log, print, raise, store, send and answer."""

import io
import json
import logging
from collections import defaultdict
from contextlib import ExitStack, contextmanager

import boto3

import app as hall
from chalicelib import wiring
from sandbox.lambda_shapes import Printed


class Sinks:
    """Texts by the kind of sink; `listen` catches them as long as it is open."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = defaultdict(list)
        self._printed = io.StringIO()
        self._logged = io.StringIO()
        self._unfiltered = io.StringIO()

    @contextmanager
    def listen(self, tale):
        """Catch what the functions of this tale's world let out."""
        with ExitStack() as stack:
            stack.enter_context(self._logs())
            Printed.sink = self._printed
            stack.callback(lambda: setattr(Printed, "sink", None))
            tale.world.start_functions()
            boto3.DEFAULT_SESSION.events.register("before-send", self._sent)
            yield self

    @contextmanager
    def _logs(self):
        """The root's and Powertools' handlers as Lambda has them, with our filter; and one without, for comparison."""
        filtered, bare = logging.StreamHandler(self._logged), logging.StreamHandler(self._unfiltered)
        filtered.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
        filtered.addFilter(wiring.SecretsFilter())
        root, powertools = logging.getLogger(), hall.logger
        streams = [(handler, handler.setStream(self._logged)) for handler in powertools.handlers]
        root.handlers.insert(0, bare)  # before a filter rewrites the record, whoever else logs at the root
        root.addHandler(filtered)
        level, handled = root.level, root.manager.disable
        root.setLevel(logging.INFO)
        for noisy in ("botocore", "boto3"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        logging.disable(logging.NOTSET)
        try:
            yield
        finally:
            root.setLevel(level)
            logging.disable(handled)
            root.removeHandler(bare)
            root.removeHandler(filtered)
            for handler, stream in streams:
                handler.setStream(stream)

    def _sent(self, request, event_name="", **_more):
        """A request to AWS, whichever service: tables, queues, topics, buses, functions, keys."""
        service = event_name.split(".")[1]
        body = request.body.decode("utf-8", "replace") if isinstance(request.body, bytes) else str(request.body or "")
        self.texts[f"sent to {service}"].append(f"{request.url}\n{body}")

    def answered(self, answer):
        """Keep an answer of the API."""
        self.texts["API answers"].append(f"{answer.headers}\n{answer.body}")
        return answer

    def gather(self, tale):
        """Take in what lies in the table and the inbox, and what was written to the log so far."""
        aws = tale.world.aws
        table = tale.world.resources["TrackerTable"]["name"]
        pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName=table)
        self.texts["items of the table"] += [json.dumps(item) for page in pages for item in page["Items"]]
        self.texts["published messages"] += [json.dumps(message, default=str) for message in aws.inbox()]
        self.texts["exceptions"] += tale.runner.failures
        self.texts["log lines"].append(self._logged.getvalue())
        self.texts["log lines before the filter"].append(self._unfiltered.getvalue())
        self.texts["printed lines, metrics among them"].append(self._printed.getvalue())

    @property
    def bytes(self):
        """How much was caught."""
        return sum(len(text) for texts in self.texts.values() for text in texts)

    def search(self, searcher):
        """Every canary in any sink."""
        return sorted({hit for sink, texts in self.texts.items() for hit in searcher.found(sink, "\n".join(texts))})
