"""What EventBridge would deliver about snapshots, in the shapes of the EBS user guide (ebs-cloud-watch-events). Its ARNs have the
Region where others have the account."""

import uuid
from datetime import datetime, timezone

from agenda import agenda
from groups import groups
from world import ACCOUNT


def set_ended(call, cause):
    """Of one CreateSnapshots call: all of it succeeded, or none did."""
    members = [
        {"snapshot_id": _snapshot(one.region, one.id), "source": _volume(one.region, one.volume.id), "status": one.status}
        for one in call.members
    ]
    _note(
        "EBS Multi-Volume Snapshots Completion Status",
        call.members[0].region,
        [member["snapshot_id"] for member in members],
        {**_detail("createSnapshots", cause, call.started), "snapshots": members},
    )


def snapshot_ended(snapshot, cause):
    """Of CreateSnapshot."""
    detail = _detail("createSnapshot", cause, snapshot.began)
    source = _volume(snapshot.region, snapshot.volume.id)
    _about(snapshot, {**detail, "snapshot_id": _snapshot(snapshot.region, snapshot.id), "source": source})


def copy_ended(snapshot, cause):
    """Of CopySnapshot, in the destination's Region."""
    detail = _detail("copySnapshot", cause, snapshot.began)
    detail |= {"snapshot_id": _snapshot(snapshot.region, snapshot.id), "source": _snapshot(*snapshot.copy_of)}
    if not cause:
        detail["Incremental"] = str(snapshot.incremental).lower()
    _about(snapshot, detail)


def _about(snapshot, detail):
    _note("EBS Snapshot Notification", snapshot.region, [detail["snapshot_id"]], detail)


def _detail(event, cause, began):
    result = "failed" if cause else "succeeded"
    times = {"startTime": _time(began), "endTime": _time(agenda.now())}
    return {"event": event, "result": result, "cause": cause, "request-id": "", **times}


def _note(kind, region, resources, detail):
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": kind,
        "source": "aws.ec2",
        "account": ACCOUNT,
        "time": _time(agenda.now()),
        "region": region,
        "resources": resources,
        "detail": detail,
    }
    groups.events.append({"n": len(groups.events) + 1, "at": agenda.now(), "event": event})


def _time(at):
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _snapshot(region, one):
    return f"arn:aws:ec2::{region}:snapshot/{one}"


def _volume(region, one):
    return f"arn:aws:ec2::{region}:volume/{one}"
