"""Drives an agent with the service client of do-app-sandbox: argument 1 is the base URL, $TOKEN the token."""

import asyncio
import os
import sys
import time

import httpx
from do_app_sandbox.exceptions import (
    CommandExecutionError,
    CommandTimeoutError,
    ServiceConnectionError,
)
from do_app_sandbox.service_client import AsyncSandboxServiceClient, SandboxServiceClient

BASE, TOKEN = sys.argv[1], os.environ["TOKEN"]


def fails(with_error, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except with_error as error:
        return str(error)
    raise AssertionError(f"no {with_error.__name__}")


def commands(client):
    health = client.health()
    assert (health["status"], health["mode"]) == ("healthy", "service") and abs(health["timestamp"] - time.time()) < 60
    result = client.exec("echo $NAME; echo oops >&2; exit 3", env={"NAME": "ä"})
    assert (result.stdout, result.stderr, result.exit_code) == ("ä\n", "oops\n", 3), result
    assert client.exec("pwd", cwd="/tmp").stdout.strip().endswith("/tmp")
    fails(CommandTimeoutError, client.exec, "sleep 60", timeout=1)
    assert "HTTP error 400" in fails(CommandExecutionError, client.exec, "true", cwd="/workspace/none")
    assert "HTTP error 422" in fails(CommandExecutionError, client.exec, None)


def streams(client):
    separators = "one\x85two\u2028three"
    events = list(client.exec_stream(f"echo '{separators}'; sleep 0.3; echo err >&2; sleep 0.3; exit 7"))
    assert [(event.type, event.data) for event in events] == [
        ("stdout", separators),
        ("stderr", "err"),
        ("exit", 7),
    ], events
    assert all(abs(event.timestamp - time.time()) < 60 for event in events)
    events = list(client.exec_stream("echo begun; sleep 60", timeout=1))
    assert [(event.type, event.data) for event in events] == [("stdout", "begun"), ("error", "TIMEOUT")], events


def background(client):
    pid = client.exec_background("echo one; echo two; sleep 1; echo three; sleep 60")
    assert [(p.pid, p.status) for p in client.list_processes()] == [(pid, "running")]
    lines = client.stream_process_logs(pid)
    assert [next(lines) for _ in range(3)] == ["one", "two", "three"]
    lines.close()
    assert client.get_process_logs(pid) == "one\ntwo\nthree\n"
    assert client.get_process_logs(pid, tail=1) == "three\n"
    assert client.kill_process(pid) is True
    until = time.time() + 10
    while client.list_processes()[0].status != "stopped":
        assert time.time() < until, "still running"
        time.sleep(0.05)
    assert "HTTP error 400" in fails(CommandExecutionError, client.kill_process, pid)
    assert "HTTP error 404" in fails(CommandExecutionError, client.kill_process, 1)


def sessions(client):
    made = client.create_session("build", env={"A": "b"}, cwd="/tmp")
    assert made["session_id"] == "build" and made["pid"] > 0, made
    assert client.session_exec("build", "cd /; B=c")["output"] == ""
    result = client.session_exec("build", "echo $A $B; pwd; exit 3", timeout=60)
    assert result["output"].startswith("b c\n/\n") and result["exit_code"] == 3, result
    info = client.get_session("build")
    assert (info["status"], info["env"], info["pid"]) == ("stopped", {"A": "b"}, made["pid"]), info
    assert abs(info["created_at"] - time.time()) < 60
    assert "HTTP error 400" in fails(CommandExecutionError, client.create_session, "build")
    assert client.close_session("build") is True
    assert "HTTP error 404" in fails(CommandExecutionError, client.get_session, "build")
    client.create_session("slow")
    partial = client.session_exec("slow", "echo begun; sleep 60", timeout=1)
    assert partial["output"].startswith("begun\n") and partial["timed_out"] is True, partial
    assert client.session_exec("slow", "echo usable")["output"] == "usable\n"
    assert client.close_session("slow") is True


def strangers():
    assert fails(ServiceConnectionError, SandboxServiceClient(BASE, "wrong").exec, "true") == "Access denied"
    client = SandboxServiceClient(BASE, TOKEN)
    client._headers = {}
    assert fails(ServiceConnectionError, client.exec, "true") == "Invalid API token"


def files():
    with httpx.Client(base_url=BASE, headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        body = {"path": "/workspace/a/b.txt", "content": "text"}
        assert http.post("/api/files/content", json=body).json() == {"success": True, "path": body["path"]}
        assert http.get("/api/files/content", params={"path": body["path"]}).json() == {
            "content": "text",
            "path": body["path"],
        }
        assert http.get("/api/files/download", params={"path": body["path"]}).content == b"text"


async def at_once():
    client = AsyncSandboxServiceClient(BASE, TOKEN)
    results = await asyncio.gather(*(client.exec(f"echo {n}") for n in range(20)))
    assert [result.stdout for result in results] == [f"{n}\n" for n in range(20)]


sync_client = SandboxServiceClient(BASE + "/", TOKEN)
commands(sync_client)
streams(sync_client)
background(sync_client)
sessions(sync_client)
strangers()
files()
asyncio.run(at_once())
print("all held")
