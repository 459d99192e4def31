"""Drives the simulated cloud with DigitalOcean's own client: argument 1 is the base URL, $TOKEN the token."""

import os
import sys
import time

from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import BearerTokenCredentialPolicy
from pydo import Client
from pydo._patch import TokenCredentials


class PlainBearer(BearerTokenCredentialPolicy):
    """The client refuses to send tokens without TLS; the simulator is on loopback."""

    def on_request(self, request):
        request.context.options["enforce_https"] = False
        super().on_request(request)


def client(token):
    policy = PlainBearer(TokenCredentials(token))
    return Client(token, endpoint=sys.argv[1], authentication_policy=policy, retry_total=0)


def spec(name):
    image = {"registry_type": "GHCR", "registry": "example", "repository": "sandbox-python", "tag": "1"}
    envs = [{"key": "OWNER", "value": name}, {"key": "SANDBOX_API_TOKEN", "value": "hidden", "type": "SECRET"}]
    service = {"name": "sandbox", "image": image, "instance_size_slug": "apps-s-1vcpu-1gb", "envs": envs}
    return {"spec": {"name": name, "region": "nyc", "services": [service]}}


def refused(status, call, *arguments, **options):
    """The client gives a 404 as a body and raises for the rest."""
    try:
        body = call(*arguments, **options)
    except HttpResponseError as error:
        assert error.status_code == status, error
        return error.message
    assert status == 404 and body["id"] == "not_found" and body["request_id"], body
    return body["message"]


def until(what, ask):
    end = time.time() + 20
    while time.time() < end:
        found = ask()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited 20 s in vain for {what}")


def life(cloud):
    made = cloud.apps.create(spec("web-1"))["app"]
    assert made["pending_deployment"]["phase"] == "PENDING_BUILD", made
    app = until("live_url", lambda: (got := cloud.apps.get(made["id"])["app"]).get("live_url") and got)
    assert app["active_deployment"]["id"] == made["pending_deployment"]["id"], app
    envs = app["spec"]["services"][0]["envs"]
    assert envs[0]["value"] == "web-1" and envs[1]["value"].startswith("EV[1:"), envs
    deployments = cloud.apps.list_deployments(made["id"])
    assert deployments["meta"]["total"] == 1 and deployments["deployments"][0]["phase"] == "ACTIVE", deployments
    deployment = cloud.apps.get_deployment(made["id"], app["active_deployment"]["id"])["deployment"]
    assert deployment["progress"]["success_steps"] == deployment["progress"]["total_steps"], deployment
    assert "web-1" in refused(409, cloud.apps.create, spec("web-1"))
    assert cloud.apps.validate_app_spec(spec("web-1"))["app_name_available"] is False
    assert cloud.apps.validate_app_spec(spec("web-2"))["app_cost"] == 12
    assert cloud.apps.delete(made["id"]) == {"id": made["id"]}
    until("404", lambda: "app" not in cloud.apps.get(made["id"]))
    refused(404, cloud.apps.delete, made["id"])
    assert "spec.name" in refused(400, cloud.apps.create, spec("No Name"))


def pages(cloud):
    names = [f"many-{n}" for n in range(5)]
    for name in names:
        cloud.apps.create(spec(name))
    seen, page = [], 1
    while True:
        answer = cloud.apps.list(page=page, per_page=2, with_projects=True)
        assert answer["meta"]["total"] == 5, answer
        seen += [app["spec"]["name"] for app in answer["apps"]]
        assert all(app["project_id"] for app in answer["apps"])
        if "next" not in answer["links"].get("pages", {}):
            break
        page += 1
    assert sorted(seen) == names, seen


def catalog(cloud):
    assert cloud.account.get()["account"]["team"]["uuid"]
    sizes = {size["slug"]: size for size in cloud.apps.list_instance_sizes()["instance_sizes"]}
    assert float(sizes["apps-s-1vcpu-1gb"]["usd_per_second"]) * 28 * 86400 - 12 < 0.01
    assert cloud.apps.get_instance_size("apps-d-1vcpu-2gb")["instance_size"]["cpu_type"] == "DEDICATED"
    assert "nyc" in [region["slug"] for region in cloud.apps.list_regions()["regions"]]


own = client(os.environ["TOKEN"])
life(own)
pages(own)
catalog(own)
refused(401, client("dop_v1_unknown").apps.list)
print("all held")
