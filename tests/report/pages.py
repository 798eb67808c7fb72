"""A report's page, parsed."""

import json
from html.parser import HTMLParser


class Page(HTMLParser):
    """tags: how often each begins. ids. scripts: the JSON in them. rows: of rankings, their data."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.scripts, self.rows, self.text = {}, [], {}, [], ""
        self._script = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.ids += [values["id"]] if "id" in values else []
        self._script = values.get("id", "code") if tag == "script" else None
        if tag == "tr":
            self.rows.append([])
        if tag == "td" and "data-v" in values:
            self.rows[-1].append(values["data-v"])

    def handle_endtag(self, tag):
        self._script = None

    def handle_data(self, data):
        if self._script in ("numbers", "drawings"):
            self.scripts[self._script] = json.loads(data)
        elif self._script is None:
            self.text += data
