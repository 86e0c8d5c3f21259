"""Receives what the real server sends, and judges it with the reference library of Standard Webhooks for Python.

Reads `webhooks.jsonl` beside it, a message a line: {"name", "headers", "body", "secret"}; writes one line for each check.
"""
import json
import pathlib

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def check(name, work):
    try:
        work()
        print(json.dumps({"check": name, "ok": True}))
    except Exception as error:  # a referee reports whatever goes wrong
        print(json.dumps({"check": name, "ok": False, "why": repr(error)}))


def refused(work):
    try:
        work()
    except WebhookVerificationError:
        return
    raise AssertionError("it was taken")


for line in pathlib.Path(__file__).with_name("webhooks.jsonl").read_text().splitlines():
    case = json.loads(line)
    body, headers, judge = case["body"], case["headers"], Webhook(case["secret"])
    name = case["name"]
    check(f"{name}: verified", lambda: judge.verify(body, headers))
    check(f"{name}: a changed body is refused", lambda: refused(lambda: judge.verify(body + " ", headers)))
    check(f"{name}: another id is refused", lambda: refused(lambda: judge.verify(body, {**headers, "webhook-id": "alr_x"})))
    later = str(int(headers["webhook-timestamp"]) + 1)
    check(f"{name}: another moment is refused", lambda: refused(lambda: judge.verify(body, {**headers, "webhook-timestamp": later})))
    other = Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    check(f"{name}: another secret is refused", lambda: refused(lambda: other.verify(body, headers)))
