"""Drives the official client through every resource that slipway has: one line of JSON for each row of docs/sdk.md."""
import datetime
import json
import os

import cloudflare

BASE, TOKEN = os.environ["CLOUDFLARE_BASE_URL"], os.environ["CLOUDFLARE_API_TOKEN"]
account_id, domain = os.environ["CLOUDFLARE_ACCOUNT_ID"], os.environ["DOMAIN"]
client = cloudflare.Cloudflare(base_url=BASE, api_token=TOKEN)


def need(fact, text):
    if not fact:
        raise AssertionError(text)


def every(pages):
    found = []
    for one in pages:
        found.append(one)
        need(len(found) < 5000, "the list has no end")
    return found


def script(name, text):
    return client.workers.scripts.update(
        name,
        account_id=account_id,
        metadata={"main_module": "index.js", "compatibility_date": "2026-04-01"},
        files=[("index.js", text.encode(), "application/javascript+module")],
    )


def workers():
    groups = every(client.accounts.tokens.permission_groups.list(account_id=account_id))
    group = next(g.id for g in groups if g.name == "Workers Scripts Write")
    return [{"effect": "allow", "permission_groups": [{"id": group}], "resources": {f"com.cloudflare.api.account.{account_id}": "*"}}]


def other(token):
    return cloudflare.Cloudflare(base_url=BASE, api_token=token, max_retries=0)


def refused(run, text):
    try:
        run()
    except cloudflare.APIStatusError:
        return
    raise AssertionError(text)


def tokens(api, scope):
    made = api.create(name="from python", policies=workers(), **scope)
    need(made.value and made.id, "no value")
    need(other(made.value).user.tokens.verify().status == "active", "the new token does not work")
    need(len([t for t in every(api.list(**scope)) if t.name == "from python"]) == 1, "a repeated call made two tokens")
    api.get(made.id, **scope)
    api.update(made.id, name="renamed", policies=workers(), **scope)
    rolled = api.value.update(made.id, **scope)
    need(rolled != made.value, "rolling gives the same value")
    other(rolled).accounts.list()
    refused(lambda: other(made.value).accounts.list(), "the old value works")
    api.delete(made.id, **scope)
    refused(lambda: other(rolled).accounts.list(), "a deleted token works")


def zone():
    return every(client.zones.list(name=domain))[0]


def accounts():
    need(every(client.accounts.list())[0].id == account_id, "another account")
    need(client.accounts.get(account_id=account_id).name, "no name")


def people():
    need(every(client.accounts.members.list(account_id=account_id))[0].email, "no member")
    need(every(client.accounts.roles.list(account_id=account_id))[0].name, "no role")


def memberships():
    one = every(client.memberships.list())[0]
    need(client.memberships.get(one.id).account.id == account_id, "another account")


def verify():
    need(client.user.tokens.verify().status == "active", "not active")
    need(every(client.user.tokens.permission_groups.list()), "no groups")


def subscriptions():
    need(every(client.accounts.subscriptions.get(account_id=account_id)), "none")
    need(every(client.user.subscriptions.get()), "none")


def zones():
    need(client.zones.get(zone_id=zone().id).name == domain, "another zone")


def records():
    zone_id, name = zone().id, f"py.{domain}"
    made = client.dns.records.create(zone_id=zone_id, type="A", name=name, content="192.0.2.7", ttl=300)
    need(every(client.dns.records.list(zone_id=zone_id)), "not listed")
    need(client.dns.records.get(made.id, zone_id=zone_id).content == "192.0.2.7", "another record")
    client.dns.records.edit(made.id, zone_id=zone_id, type="A", name=name, content="192.0.2.8", ttl=300)
    client.dns.records.update(made.id, zone_id=zone_id, type="A", name=name, content="192.0.2.9", ttl=300)
    client.dns.records.delete(made.id, zone_id=zone_id)


def batch():
    zone_id = zone().id
    done = client.dns.records.batch(zone_id=zone_id, posts=[{"type": "TXT", "name": f"pb.{domain}", "content": '"one"', "ttl": 300}])
    need(len(done.posts) == 1, "not made")
    need("one" in client.dns.records.export(zone_id=zone_id), "not exported")
    client.dns.records.import_(zone_id=zone_id, file='pimported 300 IN TXT "two"\n')


def scripts():
    script("py-one", "export default { fetch() { return new Response('one') } }")
    need(any(s.id == "py-one" for s in every(client.workers.scripts.list(account_id=account_id))), "not listed")
    need(b"'one'" in client.workers.scripts.content.get("py-one", account_id=account_id).read(), "no content")
    client.workers.scripts.delete("py-one", account_id=account_id, force=True)


def settings():
    script("py-two", "export default { fetch(r, env) { return new Response(env.A) } }")
    api = client.workers.scripts.script_and_version_settings
    api.edit("py-two", account_id=account_id, settings={"bindings": [{"type": "plain_text", "name": "A", "text": "x"}]})
    need(any(b.name == "A" for b in api.get("py-two", account_id=account_id).bindings), "not there")
    client.workers.scripts.settings.edit("py-two", account_id=account_id, tags=["a"])
    client.workers.scripts.delete("py-two", account_id=account_id, force=True)


def secrets():
    script("py-three", "export default { fetch() { return new Response() } }")
    api = client.workers.scripts.secrets
    api.update("py-three", account_id=account_id, name="S", text="x", type="secret_text")
    need(every(api.list("py-three", account_id=account_id))[0].name == "S", "not listed")
    api.delete("S", account_id=account_id, script_name="py-three")
    client.workers.scripts.delete("py-three", account_id=account_id, force=True)


def versions():
    script("py-four", "export default { fetch() { return new Response() } }")
    api = client.workers.scripts
    version = every(api.versions.list("py-four", account_id=account_id))[0]
    # this release cannot read any answer here into its own types: one of them, `ResourcesBindings`, is no model
    told = api.versions.with_raw_response.get(version.id, account_id=account_id, script_name="py-four").json()
    need(told["result"]["id"] == version.id, "another")
    whole = [{"percentage": 100, "version_id": version.id}]
    api.deployments.create("py-four", account_id=account_id, strategy="percentage", versions=whole)
    need(api.subdomain.create("py-four", account_id=account_id, enabled=True).enabled, "off")
    need(client.workers.subdomains.get(account_id=account_id).subdomain, "none")
    api.delete("py-four", account_id=account_id, force=True)


def registrar():
    need(client.registrar.search(account_id=account_id, q="sdk-shop"), "nothing")
    need(client.registrar.check(account_id=account_id, domains=["sdk-shop.test"]), "nothing")


def usage():
    rows = client.billing.usage.get_account_usage_v2(account_id=account_id)
    need(isinstance(rows, list) and all(row.consumed_unit and row.charge_period_end for row in rows), f"not in the shape of FOCUS: {rows}")


def namespaces():
    made = client.kv.namespaces.create(account_id=account_id, title="python")
    need(any(n.id == made.id for n in every(client.kv.namespaces.list(account_id=account_id))), "not listed")
    client.kv.namespaces.delete(made.id, account_id=account_id)


def cursor():
    before = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1)
    found = every(client.accounts.logs.audit.list(account_id=account_id, since=datetime.date(2020, 1, 1), before=before, limit=5))
    need(len(found) > 5 and len({e.id for e in found}) == len(found), "pages overlap")
    need(any(e.action.type == "delete" and e.action.result == "success" for e in found), "a deletion is missing")


ROWS = {
    "accounts: list, get": accounts,
    "accounts: members, roles": people,
    "memberships: list, get": memberships,
    "user: get": lambda: need(client.user.get().id, "no user"),
    "user tokens: verify, permission groups": verify,
    "user tokens: create, list, get, update, roll, delete": lambda: tokens(client.user.tokens, {}),
    "account tokens: create, list, get, update, roll, delete": lambda: tokens(client.accounts.tokens, {"account_id": account_id}),
    "subscriptions: of the account, of the user": subscriptions,
    "usage": usage,
    "zones: list, get": zones,
    "DNS records: create, list, get, edit, update, delete": records,
    "DNS records: batch, export, import": batch,
    "workers scripts: update, list, content, delete": scripts,
    "workers settings: get, edit": settings,
    "workers secrets: update, list, delete": secrets,
    "workers versions, deployments, subdomain": versions,
    "registrar: search, check": registrar,
    "registrar: registrations": lambda: every(client.registrar.registrations.list(account_id=account_id)),
    "KV namespaces: create, list, delete": namespaces,
    "audit log: first form": lambda: need(len(every(client.audit_logs.list(account_id=account_id, per_page=7))) > 7, "too few"),
    "audit log: second form, by cursor": cursor,
}

for row, run in ROWS.items():
    result = "works"
    try:
        run()
    except cloudflare.APIStatusError as e:
        first = (e.errors or [None])[0] if hasattr(e, "errors") else None
        body = e.body if isinstance(e.body, dict) else {}
        said = (body.get("errors") or [{}])[0]
        code, message = (first.code, first.message) if first is not None else (said.get("code"), said.get("message"))
        result = f"refused, {code}: {message}"
    except Exception as e:  # every defect is a row, not the end
        result = f"**fails**: {type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"
    print(json.dumps({"row": row, "result": result}), flush=True)
