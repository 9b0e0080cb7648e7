"""Hosted services as a channel meets them: each listens where its documentation says, beneath its own name,
wants its key, refuses what does not fit its schema or a limit that no schema can tell, and keeps what it
was told of each incident.

services.py PORT

POST /slack/services/T0/B0/x and so on; GET /kept tells what was taken. A webhook's signature is verified by
the reference library of Standard Webhooks, once with each of its two keys.
"""

import html.parser
import http.server
import json
import os
import re
import sys

import jsonschema
import standardwebhooks

SCHEMAS = os.path.dirname(os.path.abspath(__file__))
ROUTING_KEY = "0123456789abcdef0123456789abcdef"
PUSHOVER_TOKEN = "azGDORePK8gMaC0QOYAMyEEuzJnyUi"
PUSHOVER_USER = "uQiRzpo4DXghDmr9QzzfQu27cmVRsG"
BOT = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"
KEYS = ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "whsec_OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2"]


class Refused(Exception):
    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


def fits(schema, body):
    with open(os.path.join(SCHEMAS, schema + ".json"), encoding="utf-8") as file:
        schema = json.load(file)
    checker = jsonschema.FormatChecker()
    checker.checks("uri")(lambda text: not isinstance(text, str) or is_uri(text))
    checker.checks("date-time")(lambda text: not isinstance(text, str) or is_time(text))
    validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
    for error in validator.iter_errors(body):
        raise Refused(400, f"{'/'.join(map(str, error.absolute_path))}: {error.message}"[:2000])


def is_uri(text):
    return re.fullmatch(r"https?://[^\s<>\"{}|\\^`]+", text) is not None


def is_time(text):
    return re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", text) is not None


def at_most(most, count, what, status=400):
    if count > most:
        raise Refused(status, f"{what} has {count}, more than {most}")


def want(is_so, status, why):
    if not is_so:
        raise Refused(status, why)


class Text(html.parser.HTMLParser):
    """What is left of a message once its mark-up is read; it knows only what Telegram does."""

    KNOWN = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "a", "code", "pre", "blockquote"}

    def __init__(self):
        super().__init__()
        self.text = ""
        self.open = []

    def handle_starttag(self, tag, attrs):
        want(tag in self.KNOWN, 400, f"unsupported start tag {tag}")
        self.open.append(tag)

    def handle_endtag(self, tag):
        want(self.open and self.open.pop() == tag, 400, f"unexpected end tag {tag}")

    def handle_data(self, data):
        self.text += data

    @classmethod
    def of(cls, markup):
        reader = cls()
        reader.feed(markup)
        reader.close()
        want(not reader.open, 400, f"no end tag for {reader.open}")
        return reader.text


def units(text):
    """As many services count: in units of UTF-16."""
    return len(text.encode("utf-16-le")) // 2


# Each takes what follows its name in the path, the headers, the body as JSON and as bytes; it tells how it
# answers, which incident is meant and what became of it.


def slack(path, _headers, body, _raw):
    want(path == "/services/T0/B0/x", 404, "no_team")
    fits("slack", body)
    return 200, "ok", None


def discord(path, _headers, body, _raw):
    want(path == "/api/webhooks/1/x", 404, "Unknown Webhook")
    fits("discord", body)
    texts = 0
    for embed in body.get("embeds", []):
        texts += units(embed.get("title", "")) + units(embed.get("description", ""))
        texts += sum(units(field["name"]) + units(field["value"]) for field in embed.get("fields", []))
        for field in embed.get("fields", []):
            at_most(1024, units(field["value"]), "a field")
    at_most(6000, texts, "all embeds together")
    return 204, "", None


def teams(path, _headers, body, raw):
    want(path == "/workflows/x", 404, "WorkflowNotFound")
    fits("teams", body)
    at_most(28 * 1024, len(raw), "the message", 413)
    return 202, "", None


def telegram(path, _headers, body, _raw):
    want(path == f"/bot{BOT}/sendMessage", 404, "Not Found")
    fits("telegram", body)
    text = Text.of(body["text"]) if body.get("parse_mode") == "HTML" else body["text"]
    want(text.strip(), 400, "Bad Request: message text is empty")
    at_most(4096, units(text), "the text")
    return 200, {"ok": True, "result": {"message_id": 1}}, None


def pagerduty(path, _headers, body, raw):
    want(path == "/v2/enqueue", 404, "Not Found")
    fits("pagerduty", body)
    want(body["routing_key"] == ROUTING_KEY, 400, "Invalid routing key")
    at_most(512 * 1024, len(raw), "the event", 413)
    state = {"trigger": "open", "acknowledge": "acknowledged", "resolve": "closed"}[body["event_action"]]
    key = body["dedup_key"]
    return 202, {"status": "success", "message": "Event processed", "dedup_key": key}, (key, state)


def opsgenie(path, headers, body, _raw):
    want(headers.get("authorization") == "GenieKey g-key", 422, "Key format is not valid!")
    close = re.fullmatch(r"/v2/alerts/([^/?]+)/close\?identifierType=alias", path)
    if close:
        fits("opsgenie_close", body)
        return 202, {"result": "Request will be processed"}, (close[1], "closed")
    want(path == "/v2/alerts", 404, "Not Found")
    fits("opsgenie", body)
    details = body.get("details", {}).items()
    at_most(8000, sum(units(name) + units(value) for name, value in details), "all details together", 422)
    return 202, {"result": "Request will be processed"}, (body["alias"], "open")


def ntfy(path, headers, body, raw):
    want(path in ("", "/"), 404, "page not found")
    want(headers.get("authorization") == "Bearer tk_hush", 403, "forbidden")
    fits("ntfy", body)
    at_most(2 * 4096, len(raw), "the body", 413)
    # A longer one would become an attachment, where there are such.
    at_most(4096, len(body["message"].encode()), "the message")
    return 200, {"id": "x", "event": "message", "topic": body["topic"]}, None


def gotify(path, headers, body, _raw):
    want(path == "/message", 404, "page not found")
    want(headers.get("x-gotify-key") == "A.hush", 401, "you need to provide a valid access token")
    fits("gotify", body)
    return 200, {"id": 1, "appid": 1}, None


def pushover(path, _headers, body, _raw):
    want(path == "/1/messages.json", 404, "not found")
    fits("pushover", body)
    want(body["token"] == PUSHOVER_TOKEN, 400, "application token is invalid")
    want(body["user"] == PUSHOVER_USER, 400, "user identifier is invalid")
    return 200, {"status": 1, "request": "x"}, None


def webhook(path, headers, body, raw):
    want(path == "/hook", 404, "not found")
    for key in KEYS:
        try:
            read = standardwebhooks.Webhook(key).verify(raw, headers)
        except standardwebhooks.WebhookVerificationError as wrong:
            raise Refused(401, f"{key[:9]}: {wrong}") from wrong
        want(read == body, 401, "what was verified is not what was read")
    fits("webhook", body)
    state = {"incident.resolved": "closed"}.get(body["type"], "open")
    return 204, "", (body["data"]["incident"]["id"], state)


SERVICES = (slack, discord, teams, telegram, pagerduty, opsgenie, ntfy, gotify, pushover, webhook)
ALL = {service.__name__: service for service in SERVICES}


class Handler(http.server.BaseHTTPRequestHandler):
    kept = {name: {"taken": 0, "incidents": {}} for name in ALL}

    def do_GET(self):
        self.answer(200, self.kept)

    def do_POST(self):
        name, slash, rest = self.path[1:].partition("/")
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            want(headers.get("content-type") == "application/json", 415, "not JSON")
            status, answer, became = ALL[name](slash + rest, headers, json.loads(raw), raw)
        except Refused as refused:
            self.answer(refused.status, {"error": str(refused)})
            return
        self.kept[name]["taken"] += 1
        if became:
            incident, state = became
            self.kept[name]["incidents"][incident] = state
        self.answer(status, answer)

    def answer(self, status, body):
        body = body if isinstance(body, str) else json.dumps(body)
        self.send_response(status)
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_arguments):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
