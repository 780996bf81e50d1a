//! Reason codes. They are part of the contract: stable, never reused for another meaning, each with a section in
//! `docs/reasons.md`, which is generated from here.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($group:literal { $($code:ident: $meaning:literal, $remedy:literal;)+ })+) => {
        /// Why a condition or an outcome is what it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[doc = $meaning] $code,)+)+
            /// A code of a version that this one does not know.
            #[serde(other)]
            Unrecognized,
        }

        impl Reason {
            /// Every code, by group, in the order of the documentation.
            pub const GROUPS: &'static [(&'static str, &'static [Reason])] = &[$(($group, &[$(Reason::$code),+])),+];

            /// The code as reports print it.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self {
                    $($(Self::$code => stringify!($code),)+)+
                    Self::Unrecognized => "Unrecognized",
                }
            }

            /// What it means.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self {
                    $($(Self::$code => $meaning,)+)+
                    Self::Unrecognized => "A reason of a version that this one does not know.",
                }
            }

            /// What to do about it; empty where nothing needs doing.
            #[must_use]
            pub fn remedy(self) -> &'static str {
                match self {
                    $($(Self::$code => $remedy,)+)+
                    Self::Unrecognized => "Deploy the newest version of every function.",
                }
            }
        }
    };
}

reasons! {
    "The peering" {
        Active: "The peering connection is active, and with the account and the VPC that the spec names.", "";
        InitiatingRequest: "The request for the peering is still being made.", "";
        RequestStalled: "The request for the peering has been being made for more than five minutes.",
            "Look at the connection in the EC2 console. If it stays: delete it, request a new one and put a spec that names it.";
        PendingAcceptance: "The peering was requested and the peer has not accepted it yet.",
            "Ask the owner of the peer's account to accept the connection before it expires, seven days after the request.";
        AcceptanceOverdue: "The peering was requested more than a day ago and the peer has not accepted it yet.",
            "Remind the owner of the peer's account: the request expires seven days after it was made.";
        AcceptanceExpiring: "The request for the peering expires within a day, and the peer has not accepted it yet.",
            "Have the owner of the peer's account accept it today, or request a new connection and put a spec that names it.";
        PendingOurAcceptance: "The peer requested the peering and our side has not accepted it yet.",
            "Check that the connection comes from the account and the VPC that you expect, then accept it (`aws ec2 accept-vpc-peering-connection`).";
        Provisioning: "The peering was accepted and is being set up.", "";
        Failed: "The request for the peering failed. It will not recover.",
            "Read EC2's message: usually the two VPCs' address blocks overlap. Request a new connection and put a spec that names it.";
        Rejected: "The peer rejected the peering. It will not recover.",
            "Agree with the peer, request a new connection and put a spec that names it.";
        Expired: "Nobody accepted the peering within seven days. It will not recover.",
            "Request a new connection, have it accepted, and put a spec that names it.";
        Deleting: "The peering is being deleted. What we registered for it is taken down.",
            "If this was not meant: request a new connection and put a spec that names it.";
        Deleted: "The peering was deleted. What we registered for it is taken down.",
            "If this was not meant: request a new connection and put a spec that names it.";
        PeeringNotFoundYet: "EC2 does not know the connection id, for less than five minutes so far. Nothing is removed on this.",
            "If it stays: check `connection_id` and the Region.";
        PeeringNotFound: "EC2 has not known the connection id for five minutes or more. What we registered for it is taken down.",
            "Check `connection_id` and the Region; put a spec that names the right connection.";
        PeeringUnreadable: "The peering could not be read. Everything stays as it is.",
            "If it stays: read the message; AccessDenied means that the function's role lacks ec2:DescribeVpcPeeringConnections.";
        PeeringUnrecognized: "EC2 reports a state of the peering that this version does not know. Everything stays as it is.",
            "Deploy the newest version.";
        PeeringMismatch: "The connection is not with the account and the VPC that the spec names. Nothing is registered over it.",
            "Find out who made this connection. Correct `peer_account` and `peer_vpc`, or name the right connection.";
        BlocksUnknown: "The peering is active, but EC2 has not told the address blocks of both sides yet.", "";
        AwaitingPeering: "This is looked at once the peering is active.",
            "See the condition PeeringAccepted.";
    }
    "Routes" {
        RoutesInPlace: "Every route table leads to the peer's allowed blocks over the current connection.", "";
        RoutesNotManaged: "The spec names no route tables: routes are somebody else's.", "";
        RoutePending: "A route is about to be made, or was made and has not been read back yet.", "";
        RouteConflict: "A route that is not ours is in the way. It is left alone.",
            "Remove the route that the message names, or take its route table out of `route_table_ids`.";
        RouteBlackhole: "A route leads to the current connection, but EC2 says that it goes nowhere.",
            "If it stays for more than a minute: check the peering and the route table in the EC2 console.";
        RouteTableNotFound: "A route table of the spec does not exist.",
            "Correct `route_table_ids`.";
        RouteTableUnreadable: "The route tables could not be read. Routes stay as they are.",
            "If it stays: read the message; AccessDenied means that the function's role lacks ec2:DescribeRouteTables.";
        RouteFailed: "A route could not be made or changed.",
            "Read the message: AccessDenied means the function's role, RouteLimitExceeded the quota of the route table.";
        BlockNotAllowed: "None of the peer's blocks lies inside `allowed_cidrs`, so no route is made.",
            "Widen `allowed_cidrs` to hold a block of the peer's VPC, or make the route by hand.";
    }
    "Names" {
        Resolved: "The name resolves.", "";
        AddressLiteral: "The host is an address itself: there is nothing to resolve.", "";
        Pinned: "An operator's pin replaces the name's answer until it runs out.",
            "Remove `pin` from the endpoint when it is no longer needed.";
        NxDomain: "The name does not exist. Targets stay as they are.",
            "Correct `host`; for a name in the peer's private hosted zone, the peer must authorize the association of our VPC with the zone.";
        NoData: "The name exists but has no address. Targets stay as they are.",
            "Correct `host`, or have the peer publish an A record.";
        AaaaOnly: "The name has IPv6 addresses only. Targets stay as they are.",
            "Have the peer publish an A record: IPv6 targets are not supported.";
        ServFail: "The DNS server could not answer. Targets stay as they are.",
            "If it stays: check the servers of the name's zone.";
        Refused: "The DNS server refused to answer. Targets stay as they are.",
            "Check which clients the server allows, and `PILOTHOUSE_RESOLVERS`.";
        DnsTimedOut: "No DNS server answered in time. Targets stay as they are.",
            "Check `PILOTHOUSE_RESOLVERS`, and the way from the function to these servers.";
        DnsFailed: "The DNS answer could not be read, or there is no way to ask. Targets stay as they are.",
            "Read the message; check `PILOTHOUSE_RESOLVERS`.";
        GatewayNotFound: "The gateway function that the spec names does not exist. Targets stay as they are.",
            "Deploy `vpc-gateway` under that name into the VPC, or correct `primary.gateway_function`.";
        GatewayFailed: "The gateway function could not be asked, or failed. Targets stay as they are.",
            "Read the message: AccessDenied means that the watcher's role may not invoke it; otherwise look at the gateway's own log.";
    }
    "Addresses" {
        Admitted: "The address is private, the peer's own, allowed by the spec and outside our VPC.", "";
        AddressPublic: "The name answers an address that a load balancer does not accept outside its VPC. It is not registered.",
            "Have the peer enable DNS resolution on its side of the peering, or name the private address.";
        PeerDnsResolutionOff: "The name answers a public address, and DNS resolution is off on the peer's side of the peering. It is not registered.",
            "Have the owner of the peer's account enable DNS resolution from our VPC for this connection (`modify-vpc-peering-connection-options`, `AllowDnsResolutionFromRemoteVpc`), or name the private address. Both VPCs need DNS hostnames and DNS support.";
        AddressInsideOurVpc: "The name answers an address of our own VPC. It is not registered.",
            "Find out why the peer's name leads to us: this can be an attack. Correct the peer's record.";
        AddressOutsidePeer: "The name answers an address outside the peer's VPC. It is not registered; where the VPC has just lost the block, what serves goes half a minute later.",
            "Correct the peer's record, or name the peering with the VPC that holds the address.";
        AddressOutsideAllowed: "The name answers an address of the peer's VPC that `allowed_cidrs` does not hold. It is not registered.",
            "Widen `allowed_cidrs` if the address is right.";
        AddressSpecial: "The name answers a loopback, link-local, multicast or reserved address. It is not registered.",
            "Find out why: this can be an attack. Correct the peer's record.";
        SeveralAddresses: "The name of a writer answers several addresses, and nothing tells which one is the writer. Targets stay as they are.",
            "Give the name of the writer alone, set a pin, or use role `any` if every address serves.";
        AddressUnusable: "The load balancer says that the address cannot be used, as when it belongs to a load balancer.",
            "Name the database's own address.";
    }
    "Targets" {
        Registered: "The target group holds what it should.", "";
        Registering: "The registration was sent and has not been read back yet.", "";
        AwaitingSecondAnswer: "The name moved. The writer is switched once a second answer, fetched after the first one's TTL, agrees.", "";
        OldTargetServing: "The new target is registered. The old one stays until the new one is healthy.",
            "If it stays: the new primary does not accept connections from the load balancer; check its port, its security group and its routes.";
        Flapping: "The writer moved more than three times in ten minutes. It stays where it is until that has calmed down.",
            "Look for two servers that both claim to be the primary; pin the right address. Acknowledge `Flapping` to let the next switch through.";
        ForeignTarget: "The target group holds a target that we did not register. It is left alone.",
            "Deregister it by hand, or acknowledge `ForeignTarget:<address>:<port>` to hand it over to us.";
        NothingToRegister: "There is no admitted address to register.",
            "See the conditions NameResolves and AddressAllowed.";
        TargetGroupNotFound: "The target group does not exist.",
            "Correct `target_group_arn`.";
        TargetGroupUnreadable: "The target group could not be read. Targets stay as they are.",
            "If it stays: read the message; AccessDenied means that the function's role lacks elasticloadbalancing:DescribeTargetHealth or DescribeTargetGroups.";
        TargetGroupNotIp: "The target group does not take addresses.",
            "Use a target group of target type `ip`.";
        TargetGroupIpv6: "The target group takes IPv6 addresses, which are not supported.",
            "Use a target group of address type `ipv4`.";
        TargetGroupVpcMismatch: "The target group belongs to another VPC than our side of the peering, so nothing it holds could be reached over the peering.",
            "Use a target group in the VPC that the peering connects.";
        TargetGroupNotInUse: "No listener of a load balancer uses the target group.",
            "Attach the target group to a listener, and enable the zone on the load balancer.";
        TooManyTargets: "The target group is full, and nothing in it is ours and known to be dead.",
            "Remove targets that are no longer needed, or raise the quota.";
        RegistrationFailed: "A target could not be registered or deregistered.",
            "Read the message: AccessDenied means the function's role; throttling and time-outs settle by themselves.";
        Deferred: "The load balancer was not asked in this pass: the shared budget of calls is spent. Its turn comes.", "";
        RebuildingState: "There was no usable record of what we did before. Nothing is removed until two passes agree.",
            "Nothing; or acknowledge `RebuildingState` to go on at once.";
        FleetBrake: "Too many clusters would lose what serves them within ten minutes. The removal is held back.",
            "Find out what happened to so many clusters at once. Acknowledge `FleetBrake` for this cluster to go on.";
    }
    "Health" {
        Healthy: "The load balancer finds the target healthy.", "";
        AwaitingHealthCheck: "The load balancer has not finished its first checks.", "";
        HealthCheckFailed: "The load balancer cannot reach the target. It stays registered.",
            "Check the peer's routes to our VPC, its security group, and that PostgreSQL listens on the port.";
        HealthUnknown: "The load balancer does not say whether the target is healthy.", "";
    }
    "Probe" {
        Reachable: "A PostgreSQL server answers the gateway's probe.", "";
        AwaitingProbe: "The server was not probed yet.", "";
        ProbeTimedOut: "The server did not answer the probe in time. This is what a missing route or a security group looks like.",
            "On the peer's side: a route from the database's subnets back to our VPC's block, and a security group that lets that block reach the port. On ours: the same for the gateway's subnets.";
        ConnectionRefused: "The host refused the connection: it is up, and nothing listens on the port.",
            "Check the port in the spec, and that PostgreSQL runs and listens on that address (`listen_addresses`).";
        HostUnreachable: "The network says that there is no way to the host.",
            "Check the routes of the gateway's subnets to the peer's blocks, and that the host is up.";
        ConnectionClosed: "The server closed the connection in the middle of the probe.",
            "Read the server's log; a connection pooler or a proxy in between can do this too.";
        NotPostgres: "Something answers on the port, and it does not speak PostgreSQL's protocol.",
            "Correct the port in the spec.";
        TlsNotOffered: "The spec asks for TLS and the server does not offer it. No credentials were sent.",
            "Set `ssl = on` with a certificate on the server, or leave `tls` and `credentials_secret` out of the spec.";
        TlsFailed: "The server's certificate could not be verified, or TLS could not be agreed on. No credentials were sent.",
            "Read the message: name the authority in `tls.ca_secret`, the certificate's name in `tls.server_name`, and a client certificate where the server wants one.";
        ProbeFailed: "The probe gave no result that means anything.",
            "Read the message, and the gateway's log.";
        CredentialsUnreadable: "A secret that the probe needs could not be read, or does not hold what it should.",
            "Read the message: the credentials are JSON, `{\"username\": ..., \"password\": ...}`, the rest is PEM; the watcher's role needs secretsmanager:GetSecretValue, and kms:Decrypt for a key of your own.";
    }
    "Writer" {
        Writer: "The server says that it is not in recovery: it takes writes.", "";
        InRecovery: "The server says that it is in recovery: it is a standby and takes no writes. It is not removed for that.",
            "Wait for the failover to end, or name the writer: this can be the name of a reader.";
        AddressIsStandby: "The name answers a server that proved to be a standby. It is not registered before it is promoted.",
            "Wait for the promotion; or name the writer, or pin it.";
        NoWriter: "None of the addresses that the name answers proved to be the writer. Targets stay as they are.",
            "Look for a failover that has not ended.";
        SeveralWriters: "More than one of the addresses that the name answers proved to take writes. Targets stay as they are.",
            "This can be a split brain: find out which server is the primary, and fence the other. Pin the right one meanwhile.";
        AuthMethodRefused: "The server asked for a password in clear text or as MD5. It was not sent.",
            "Use `scram-sha-256` in pg_hba.conf for the probe's role, and set its password anew under `password_encryption = scram-sha-256`.";
        ServerNotProven: "The server did not prove that it knows the role's password, as SCRAM wants it to. This can be an attack.",
            "Find out which server answers on that address. Check the secret's password where it is the right one.";
        AuthenticationFailed: "The server did not accept the probe's role.",
            "Check the secret's username and password, and that pg_hba.conf has a `hostssl` line for the role, the database `postgres` and our VPC's block.";
        TooManyConnections: "The server has no connection left for the probe.",
            "Raise `max_connections`, or find out who holds them.";
        StartingUp: "The server is starting up, shutting down or recovering, and takes no connections yet.", "";
        ServerError: "The server answered the probe with an error.",
            "Read the message.";
    }
    "Logical replication" {
        LogicalReplicationReady: "`wal_level`, `max_replication_slots` and `max_slot_wal_keep_size` allow logical replication.", "";
        WalLevelNotLogical: "`wal_level` is not `logical`.",
            "Only where logical replication is wanted: set `wal_level = logical` and restart the server.";
        TooFewReplicationSlots: "`max_replication_slots` is lower than the number of databases.",
            "Only where logical replication is wanted: raise it and restart the server.";
        SlotWalUnbounded: "`max_slot_wal_keep_size` is -1: a slot that nobody reads fills the server's disk.",
            "Only where logical replication is wanted: set a bound below the free space.";
    }
    "The Auto Scaling group" {
        GroupConfigured: "The group and its hooks are as they must be.", "";
        GroupNotFound: "The Auto Scaling group does not exist.",
            "Correct `nodes.asg`.";
        GroupUnreadable: "The group, its hooks or its instances could not be read. No hook is answered meanwhile; they are kept alive.",
            "If it stays: read the message; AccessDenied means that the function's role lacks autoscaling:DescribeAutoScalingGroups or DescribeLifecycleHooks.";
        InstanceUnreadable: "EC2 did not say how an instance is. Nothing is done about it.",
            "If it stays: read the message; AccessDenied means that the function's role lacks ec2:DescribeInstances.";
        HookMissing: "A hook that the spec names does not exist, or is not on its transition. Nodes come and go unseen.",
            "Make the hook, in the group's `LifecycleHookSpecificationList`, so that it is there for the first instance too; or correct `nodes.hooks`.";
        LaunchDefaultAbandons: "The launch hook's default result is ABANDON: a function that is stuck would end every new node.",
            "Set it to CONTINUE. A node without a start grant is harmless.";
        TerminateDefaultContinues: "The terminate hook's default result is CONTINUE: a hook that runs out would end the leader.",
            "Set it to ABANDON, with the group's lifecycle policy `TerminateHookAbandon = retain`.";
        HookTimeoutShort: "A hook waits less than five minutes for a heartbeat: one pass that fails is too many.",
            "Raise its heartbeat time-out; 900 s give it 25 hours in all, 1800 s the full 48.";
        GroupAttached: "The group itself is attached to a load balancer, which drains a leader for minutes before its hook is even asked.",
            "Detach the group from the target groups that the message names, and name them in `nodes.target_groups`.";
        RetainPolicyMissing: "The group has no policy that retains an instance whose terminate hook is abandoned, and `on_unsafe` is `retain`. A node whose end is unsafe is held in its hook, 48 hours at most, and then ended.",
            "Set the group's instance lifecycle policy: `RetentionTriggers.TerminateHookAbandon = retain`.";
        WarmPool: "The group has a warm pool, which is not supported: its nodes are passed over.",
            "Delete the warm pool.";
        SpotCapacity: "The group has Spot instances, which are not supported: a reclaim gives two minutes and waits for no hook.",
            "Use On-Demand instances for databases.";
        HookPassedOver: "Instances are in service that never passed the launch hook. They have no start grant and do not run.",
            "Terminate them one by one; put the hooks into the group's `LifecycleHookSpecificationList`.";
    }
    "Patroni" {
        LeaderAndStandbys: "One node leads, and enough standbys stream from it.", "";
        PatroniUnreadable: "No node's Patroni answered, so who leads is not known. Nothing is taken from the cluster meanwhile.",
            "If it stays: check `nodes.gateway_function`, the nodes' security group, `nodes.patroni.port`, and the secrets.";
        NoLeader: "No node leads. Nothing is taken from the cluster meanwhile.",
            "If it stays longer than Patroni's `ttl`: look at the nodes' logs and at etcd.";
        LeaderUnclear: "The nodes say different things about who leads: something is changing hands.",
            "If it stays: this can be a split brain. Find out which node is the primary, and fence the other.";
        LeaderOutsideGroup: "The member that leads is no instance of the group.",
            "Nodes of a cluster must be in one group; switch over to one of the group's by hand.";
        PatroniPaused: "Patroni is paused: it fails over to nobody. A leader is still switched over by us; no node is stopped before `patronictl resume`.",
            "Resume it (`patronictl resume`).";
        TooFewStreaming: "Fewer standbys stream than `min_streaming_after_terminate` asks for.",
            "Wait until a replacement streams; or raise the group's desired capacity.";
        SwitchoverScheduled: "Somebody has scheduled a switchover. Nodes wait for it.",
            "Wait, or cancel it (`patronictl flush <cluster> switchover`).";
        SwitchoverPending: "A switchover was asked for, and the cluster does not show its outcome yet.", "";
        SwitchoverFailed: "Several tries to switch over had no effect. It is tried again every five minutes.",
            "Read the message and the leader's log: usually a candidate's lag or timeline.";
        NoCandidate: "No other node can lead: the message names each, and what speaks against it.",
            "Mend what the message names, or wait until a replacement is in service.";
        OnlySynchronousStandby: "The node is the only synchronous standby, and writes would stop without it.",
            "Wait until another standby is synchronous, or switch `synchronous_mode_strict` off.";
    }
    "etcd" {
        VotersWhole: "All voters answer, as many as the spec asks for.", "";
        VotersMissing: "Fewer voters of etcd answer than the spec asks for.",
            "Wait until a replacement has joined. If it stays: look at etcd's log on the nodes.";
        EtcdUnreadable: "No member of etcd answered. No member is removed and no node is taken out meanwhile.",
            "If it stays: etcd may have lost its quorum. Check `nodes.etcd.port`, its TLS and its credentials; never wipe a member then.";
        EtcdQuorum: "etcd could not spare the node's voter: the message says why.",
            "Wait until the voters are whole again. If it stays: look at the members that do not answer.";
        ForeignEtcdMember: "etcd has a member that runs on no instance of the group, and of which nothing is on record. It is left alone.",
            "Find out whose it is. If its machine is gone: acknowledge `ForeignEtcdMember:<id>` to have it removed.";
        AwaitingEtcd: "etcd is making room for the node: one member changes at a time.", "";
    }
    "Nodes" {
        NodesSettled: "No node waits for anything.", "";
        NodesMoving: "Nodes are on their way in or out.", "";
        InstanceStarting: "The instance is starting.", "";
        MakingVolumes: "The node's data volumes are being made from a restore point, or attached.", "";
        RestorePointUnreadable: "The restore points could not be read. The node waits.",
            "If it stays: read the message; check the table and the function's role.";
        VolumesUnreadable: "The volumes that were made for the node could not be read. The node waits.",
            "If it stays: read the message; AccessDenied means that the function's role lacks ec2:DescribeVolumes.";
        NodeStarting: "The node was granted its start, and its Patroni does not answer yet.",
            "If it stays: look at the node's journal (`pilothouse-start`, etcd, patroni).";
        NodeCatchingUp: "The node copies, or replays what it has missed.", "";
        NodeNotReady: "The node has not come forward for too long. What was set up for it is taken back, and its launch is abandoned.",
            "Look at the log of the last node that failed; the message says in which state it stood still.";
        NodeJoined: "The node follows the leader, or leads. Its launch hook was answered.", "";
        NodeLeft: "The node leads nothing, serves nothing and votes in nothing. Its terminate hook was answered.", "";
        NodeUnknown: "The node is no member of the cluster, and may be about to become one.", "";
        NodeRetained: "The node's end is unsafe: the instance was retained outside the group, and is ended once that is over.",
            "Read the message. The instance is billed while it is retained.";
        LastNode: "The node is the last one that stays: with it the cluster would end.",
            "Raise the group's desired capacity; or put the spec with `decommission: true` if the cluster is to end.";
        AwaitingTurn: "Another node is on its way out. One goes at a time, the leader last.", "";
        AwaitingFirstLeader: "Another node makes the cluster. The others join once it leads.", "";
        BootstrapRefused: "No node leads, and the cluster may have data: no node is allowed to make a new one.",
            "Bring a node with data back, or restore. If the cluster is meant to be new: acknowledge `BootstrapRefused`.";
        ForeignData: "The node holds the data of another cluster.",
            "Find out where its volume comes from.";
        LaunchesFail: "Several launches failed within an hour. The last instance is kept as it is, and the group's process Launch is suspended by us.",
            "Look at the instance that was kept; then resume the process (`aws autoscaling resume-processes --scaling-processes Launch`).";
        Draining: "The node's connections through the load balancer are being drained.", "";
        Stopping: "PostgreSQL on the node is stopping.", "";
        FinalRestorePointPending: "The last node of a cluster that is decommissioned waits for its last restore point.",
            "If it stays: the scheduler's condition RestorePointTaken says why (a server that has stopped does not tell its data directory: give `snapshots.filesystem.data_dir`). To go without one, put the spec without `snapshots`.";
        StopFailed: "PostgreSQL or Patroni could not be stopped on the node.",
            "Read the message; stop them by hand on the node.";
        AgentSilent: "The Systems Manager agent of the node does not answer, and the node must not go without a clean stop.",
            "Start the agent, or stop Patroni on the node by hand.";
        AnswerSent: "The hook was answered, and the group has not moved the node yet.", "";
        TargetGroupKind: "A target group takes neither instances nor addresses.",
            "Use a target group of target type `instance` or `ip`.";
        NodeActionFailed: "A step could not be carried out.",
            "Read the message: denied means the function's role or the node's credentials; throttling and time-outs settle by themselves.";
    }
    "Restore points" {
        RestorePointRecent: "The newest good restore point is young enough.", "";
        RestorePointOverdue: "The newest good restore point is older than `max_age_hours`. Nothing is deleted meanwhile.",
            "See the condition RestorePointTaken for what keeps new ones from being taken.";
        NoRestorePoint: "There is no good restore point yet.",
            "If it stays after the first time of the schedule: see the condition RestorePointTaken.";
        RestorePointTaken: "The restore point of the newest time of the schedule is whole.", "";
        NothingDue: "No time of the schedule has come since the cluster was put.", "";
        TakingRestorePoint: "A restore point is being taken.", "";
        SnapshotsPending: "The snapshots are begun: their moment is fixed, and EC2 is storing their blocks.", "";
        SnapshotsOverdue: "EC2 has been storing the snapshots' blocks for longer than their size explains.",
            "Look at the snapshots in the EC2 console. A first snapshot of many terabytes takes a day; if they stand still: ask AWS.";
        NoNodeToTakeFrom: "No node can be taken from: none runs that leads, or that follows within the lag limits.",
            "Look at the nodes: the message says what is known of each.";
        NodesNotNamed: "The spec has `snapshots` and no `nodes`, so it is not known which instances hold the data.",
            "Add `nodes` to the spec.";
        SurveyFailed: "The node could not say where its data lies, so nothing is known to be whole.",
            "Read the message. The function asks through the Systems Manager agent as root, and needs `psql` and `lsblk` on the node.";
        LayoutNotWhole: "A part of the data lies where no snapshot reaches: on an instance store, on another machine, or on a volume that is not attached.",
            "Move that part to an EBS volume of the node: the message names it.";
        TooManyVolumes: "The node has more volumes than one call can take or leave out.",
            "Attach fewer volumes to database nodes: 36 of data, and 40 others.";
        SnapshotLimit: "EC2 takes no more snapshots of these volumes now: five may be pending for one volume, one for `st1` and `sc1`.",
            "If it stays: look at pending snapshots of the volumes, of other tools too.";
        SnapshotFailed: "The snapshots could not be taken, or failed. Older restore points are kept.",
            "Read the message: AccessDenied means the function's role, a word on KMS the key of the volume.";
        RestorePointBroken: "A restore point that was whole is not any more: a snapshot was deleted, archived or put into the Recycle Bin by somebody else.",
            "Bring the snapshot back from the Recycle Bin or from the archive, if it is there. The restore point does not count until then.";
        SnapshotsUnreadable: "The snapshots could not be read. Nothing is deleted.",
            "If it stays: read the message; AccessDenied means that the function's role lacks ec2:DescribeSnapshots.";
        SnapshotsShared: "A snapshot of the newest restore point is shared with other accounts.",
            "If this was not meant: take the permission back (`aws ec2 modify-snapshot-attribute`), and find out who gave it.";
        KeyUnusable: "The KMS key that encrypts the snapshots, or is to encrypt their copies, cannot be used.",
            "Enable the key, or cancel its deletion. Without it the snapshots cannot be restored.";
        CopiesRecent: "Every Region of the spec holds a good copy that is young enough.", "";
        CopiesPending: "Copies are on their way.", "";
        CopyFailed: "A copy failed. Its source stays, and it is tried again.",
            "Read the message: it is usually a key in that Region, or the function's right to use it.";
        CopyOverdue: "The newest good copy in a Region is older than `max_age_hours`.",
            "Read the message, and the one of the condition RestorePointTaken: what is not taken cannot be copied.";
        RetentionInOrder: "Restore points are kept and deleted as the policy says.", "";
        RetentionBraked: "Restore points that the policy no longer keeps are not deleted now.",
            "The message names the brake, and what to acknowledge where a person may lift it.";
        DeletionBlocked: "A restore point is to be deleted, and EC2 does not let it go: an image is made from a snapshot, or one is locked.",
            "Deregister the image, or wait for the lock to end. The restore point is not offered for a restore any more.";
        ZoneUnknown: "The time zone of the schedule is not in the time-zone database of this version.",
            "Put a `timezone` that exists.";
        NoSnapshots: "The spec has no `snapshots`: no restore points are taken.", "";
        FinalPointsKept: "The cluster was deleted, or asks for no restore points any more: the last ones are kept for as long as `final` says.", "";
    }
    "Outcomes" {
        Settled: "Everything is as it should be.", "";
        PrimaryRegistered: "The primary's address was registered.", "";
        PrimarySwitched: "The writer moved: the new address serves, and the old one was deregistered.", "";
        TargetDeregistered: "A target of ours was deregistered.", "";
        RoutesChanged: "Routes were changed.", "";
        NoPrimary: "The spec has no `primary`: there is nothing to watch.", "";
        NoNodes: "The spec has no `nodes`: there is nothing to look after.", "";
        TornDown: "What we made for the cluster is gone.", "";
        TearingDown: "What we made for the cluster is being taken down.", "";
        Retained: "The cluster was deleted, or asks for nothing any more: its targets, routes and nodes stay as they are, and are nobody's now.", "";
        Paused: "The cluster is paused: it is watched, and nothing is changed.",
            "Put the spec with `paused: false`.";
        FleetPaused: "Every cluster is paused: they are watched, and nothing is changed.",
            "Send the registry `{\"resume\": {...}}`.";
        RestorePointBegun: "The snapshots of a restore point were begun.", "";
        RestorePointsDeleted: "Restore points that the policy no longer keeps were deleted.", "";
        CopiesBegun: "Copies of restore points were begun.", "";
        HoldsNoted: "The snapshots of a restore point say in a tag who holds it.", "";
        Locked: "Another run holds the cluster's lock. It was asked to look once more.", "";
        UnknownCluster: "There is no cluster of this name.",
            "Check the name (`{\"list\": {}}` to the registry).";
        SchemaNewer: "The spec was stored by a newer version. It is observed only.",
            "Deploy the newest version of this function.";
        SpecUnreadable: "The stored spec could not be read. Everything stays as it is.",
            "Put the spec again.";
        StateUnreadable: "Our own record of the cluster could not be read or written. Everything stays as it is.",
            "If it stays: read the message; check the table and the function's role.";
        DeadlineNear: "The pass ran out of time before this cluster was done. It comes first in the next one.",
            "If it stays: give the function more memory or time.";
        SafetyGate: "The plan broke an invariant and that action was not carried out. This is a defect of Pilothouse.",
            "Report it, with the log line of this pass. The cluster stays as it is.";
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

/// `docs/reasons.md`.
#[must_use]
pub fn documentation() -> String {
    let mut text = String::from(
        "# Reasons\n\nEvery condition and every outcome carries one of these codes. They are stable: alarms and runbooks may match them.\n\
         This page is generated from `shared/domain/src/reason.rs`.\n",
    );
    for (group, reasons) in Reason::GROUPS {
        text.push_str(&format!("\n## {group}\n"));
        for reason in *reasons {
            text.push_str(&format!("\n### {reason}\n\n{}\n", reason.meaning()));
            if !reason.remedy().is_empty() {
                text.push_str(&format!("\n**Remedy.** {}\n", reason.remedy()));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_documentation_is_the_code() {
        expect_test::expect_file!["../../../docs/reasons.md"].assert_eq(&documentation());
    }

    #[test]
    fn a_code_of_a_newer_version_is_read() {
        assert_eq!(serde_json::from_str::<Reason>("\"FromTheFuture\"").unwrap(), Reason::Unrecognized);
        assert_eq!(serde_json::to_string(&Reason::NxDomain).unwrap(), "\"NxDomain\"");
    }
}
