//! Target groups over Elastic Load Balancing.

use std::net::Ipv4Addr;

use aws::{Turns, classify, is_not_registered, removed};
use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::types::{
    TargetDescription, TargetGroupIpAddressTypeEnum, TargetHealthDescription, TargetHealthReasonEnum,
    TargetHealthStateEnum, TargetTypeEnum,
};
use ports::{Class, Health, PortError, Target, TargetGroup, TargetHealth};

const DESCRIBE: &str = "elasticloadbalancing:DescribeTargetGroups";
const HEALTH: &str = "elasticloadbalancing:DescribeTargetHealth";

/// The zone of a target outside the VPC of its group (`API_TargetDescription`).
const OUTSIDE: &str = "all";

/// Reads and changes target groups.
#[derive(Debug, Clone)]
pub struct TargetGroups {
    client: Client,
    turns: Turns,
}

impl TargetGroups {
    /// Sends nothing.
    #[must_use]
    pub fn new(configuration: &aws::Configuration) -> Self {
        let settings = aws_sdk_elasticloadbalancingv2::config::Builder::from(configuration.sdk())
            .interceptor(configuration.recorder("elasticloadbalancing"))
            .build();
        Self { client: Client::from_conf(settings), turns: configuration.turns() }
    }
}

impl ports::TargetGroups for TargetGroups {
    async fn describe(&self, arn: &str) -> Result<TargetGroup, PortError> {
        let _turn = self.turns.take().await;
        let answer = self
            .client
            .describe_target_groups()
            .target_group_arns(arn)
            .send()
            .await
            .map_err(|error| classify(DESCRIBE, error))?;
        let group = answer
            .target_groups
            .unwrap_or_default()
            .into_iter()
            .find(|group| group.target_group_arn.as_deref() == Some(arn))
            .ok_or_else(|| PortError {
                call: DESCRIBE,
                class: Class::NotFound,
                code: "TargetGroupNotFound".to_owned(),
                message: format!("the answer has no target group {arn}"),
            })?;
        Ok(TargetGroup {
            arn: arn.to_owned(),
            vpc: group.vpc_id,
            takes_addresses: group.target_type == Some(TargetTypeEnum::Ip),
            ipv6: group.ip_address_type == Some(TargetGroupIpAddressTypeEnum::Ipv6),
        })
    }

    async fn targets(&self, arn: &str) -> Result<Vec<TargetHealth>, PortError> {
        let _turn = self.turns.take().await;
        let answer = self
            .client
            .describe_target_health()
            .target_group_arn(arn)
            .send()
            .await
            .map_err(|error| classify(HEALTH, error))?;
        Ok(answer.target_health_descriptions.unwrap_or_default().into_iter().filter_map(target_health).collect())
    }

    async fn register(&self, arn: &str, target: Target) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        self.client
            .register_targets()
            .target_group_arn(arn)
            .targets(description(target, Some(OUTSIDE)))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("elasticloadbalancing:RegisterTargets", error))
    }

    async fn deregister(&self, arn: &str, target: Target) -> Result<(), PortError> {
        let _turn = self.turns.take().await;
        let answer = self
            .client
            .deregister_targets()
            .target_group_arn(arn)
            .targets(description(target, None))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify("elasticloadbalancing:DeregisterTargets", error));
        match answer {
            Err(error) if is_not_registered(&error) => Ok(()),
            other => removed(other),
        }
    }
}

fn description(target: Target, zone: Option<&str>) -> TargetDescription {
    TargetDescription::builder()
        .id(target.address.to_string())
        .port(i32::from(target.port))
        .set_availability_zone(zone.map(str::to_owned))
        .build()
}

/// None for a target that is no IPv4 address, and for one that ELB lists only to say that it is not registered.
fn target_health(row: TargetHealthDescription) -> Option<TargetHealth> {
    let described = row.target?;
    let id = described.id.unwrap_or_default();
    let address: Ipv4Addr = id.parse().ok()?;
    let Some(port) = described.port.and_then(|port| u16::try_from(port).ok()) else {
        tracing::warn!(call = HEALTH, target = id, "a target without a port is left out");
        return None;
    };
    let health = row.target_health;
    let reason = health.as_ref().and_then(|health| health.reason.as_ref());
    if reason == Some(&TargetHealthReasonEnum::NotRegistered) {
        return None;
    }
    Some(TargetHealth {
        target: Target { address, port },
        reason: reason.map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
        health: state(health.as_ref().and_then(|health| health.state.as_ref())),
    })
}

pub(crate) fn state(state: Option<&TargetHealthStateEnum>) -> Health {
    match state {
        Some(TargetHealthStateEnum::Initial) => Health::Initial,
        Some(TargetHealthStateEnum::Healthy) => Health::Healthy,
        Some(TargetHealthStateEnum::Unhealthy) => Health::Unhealthy,
        Some(TargetHealthStateEnum::Unused) => Health::Unused,
        // An unhealthy target on its way out is on its way out.
        Some(TargetHealthStateEnum::Draining | TargetHealthStateEnum::UnhealthyDraining) => Health::Draining,
        _ => Health::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws::wire::Wire;
    use ports::{CallLog, TargetGroups as _};
    use std::collections::BTreeMap;

    const ARN: &str = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/acme/73e2d6bc24d8a067";
    const TARGET: Target = Target { address: Ipv4Addr::new(10, 9, 0, 5), port: 5432 };

    async fn target_groups(wire: &Wire) -> (TargetGroups, CallLog) {
        let calls = CallLog::default();
        (TargetGroups::new(&wire.configuration(&calls).await), calls)
    }

    /// What a call to `action` sends beside its own fields.
    fn form(action: &str, fields: &[(&str, &str)]) -> BTreeMap<String, String> {
        [("Action", action), ("Version", "2015-12-01")]
            .iter()
            .chain(fields)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn answer(call: &str, result: &str) -> String {
        format!("<{call}Response><{call}Result>{result}</{call}Result></{call}Response>")
    }

    #[tokio::test]
    async fn describe_says_vpc_and_kind() {
        for (kind, family, takes_addresses, ipv6) in
            [("ip", "ipv4", true, false), ("ip", "ipv6", true, true), ("instance", "ipv4", false, false)]
        {
            let wire = Wire::default();
            let member = format!(
                "<TargetGroups><member><TargetGroupArn>{ARN}</TargetGroupArn><VpcId>vpc-1</VpcId>
                 <TargetType>{kind}</TargetType><IpAddressType>{family}</IpAddressType></member></TargetGroups>"
            );
            wire.answer(200, answer("DescribeTargetGroups", &member));
            let (groups, calls) = target_groups(&wire).await;
            let expected = TargetGroup { arn: ARN.to_owned(), vpc: Some("vpc-1".to_owned()), takes_addresses, ipv6 };
            assert_eq!(groups.describe(ARN).await, Ok(expected));
            assert_eq!(wire.sent()[0].form(), form("DescribeTargetGroups", &[("TargetGroupArns.member.1", ARN)]));
            assert_eq!(calls.take(), [(DESCRIBE.to_owned(), 1)].into());
        }
    }

    #[tokio::test]
    async fn a_group_that_is_not_there_is_not_found() {
        let wire = Wire::default();
        wire.refuse(400, "TargetGroupNotFound", "One or more target groups not found");
        wire.answer(200, answer("DescribeTargetGroups", "<TargetGroups/>"));
        let (groups, _) = target_groups(&wire).await;
        for _ in 0..2 {
            let error = groups.describe(ARN).await.unwrap_err();
            assert_eq!((error.call, error.class), (DESCRIBE, Class::NotFound));
        }
    }

    fn row(id: &str, port: &str, state: &str, reason: &str) -> String {
        format!(
            "<member><Target><Id>{id}</Id>{port}</Target>
             <TargetHealth><State>{state}</State>{reason}</TargetHealth></member>"
        )
    }

    #[tokio::test]
    async fn watcher_case_unused_not_registered_is_no_target_and_nothing_is_filtered() {
        let wire = Wire::default();
        let rows = [
            row("10.9.0.5", "<Port>5432</Port>", "healthy", ""),
            row("10.9.0.6", "<Port>5432</Port>", "unhealthy", "<Reason>Target.FailedHealthChecks</Reason>"),
            row("10.9.0.7", "<Port>5432</Port>", "unused", "<Reason>Target.NotRegistered</Reason>"),
            row("i-0123", "<Port>5432</Port>", "healthy", ""),
            row("fd00::1", "<Port>5432</Port>", "healthy", ""),
            row("10.9.0.8", "", "healthy", ""),
            "<member/>".to_owned(),
            "<member><Target><Id>10.9.0.9</Id><Port>6432</Port></Target></member>".to_owned(),
        ];
        let rows = format!("<TargetHealthDescriptions>{}</TargetHealthDescriptions>", rows.concat());
        wire.answer(200, answer("DescribeTargetHealth", &rows));
        let (groups, _) = target_groups(&wire).await;
        let read = groups.targets(ARN).await.unwrap();
        let read: Vec<_> = read.iter().map(|row| (row.target.to_string(), row.health, row.reason.as_str())).collect();
        assert_eq!(
            read,
            [
                ("10.9.0.5:5432".to_owned(), Health::Healthy, ""),
                ("10.9.0.6:5432".to_owned(), Health::Unhealthy, "Target.FailedHealthChecks"),
                ("10.9.0.9:6432".to_owned(), Health::Unavailable, ""),
            ]
        );
        assert_eq!(wire.sent()[0].form(), form("DescribeTargetHealth", &[("TargetGroupArn", ARN)]));
    }

    #[test]
    fn every_state_has_its_name() {
        for (text, expected) in [
            ("initial", Health::Initial),
            ("healthy", Health::Healthy),
            ("unhealthy", Health::Unhealthy),
            ("unused", Health::Unused),
            ("draining", Health::Draining),
            ("unhealthy.draining", Health::Draining),
            ("unavailable", Health::Unavailable),
            ("something-new", Health::Unavailable),
        ] {
            assert_eq!(state(Some(&text.into())), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn registers_with_port_in_all_zones_and_deregisters_with_port() {
        let wire = Wire::default();
        wire.answer(200, answer("RegisterTargets", ""));
        wire.answer(200, answer("DeregisterTargets", ""));
        let (groups, calls) = target_groups(&wire).await;
        groups.register(ARN, TARGET).await.unwrap();
        groups.deregister(ARN, TARGET).await.unwrap();
        let target = [("TargetGroupArn", ARN), ("Targets.member.1.Id", "10.9.0.5"), ("Targets.member.1.Port", "5432")];
        let zone = [("Targets.member.1.AvailabilityZone", "all")];
        let forms: Vec<_> = wire.sent().iter().map(|sent| sent.form()).collect();
        assert_eq!(
            forms,
            [form("RegisterTargets", &[target.as_slice(), &zone].concat()), form("DeregisterTargets", &target)]
        );
        let calls: Vec<_> = calls.take().into_keys().collect();
        assert_eq!(calls, ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"]);
    }

    #[tokio::test]
    async fn a_refused_registration_says_why() {
        let inside = "The IP address '10.9.0.5' is within the VPC, and cannot have its Availability Zone overridden to \
                      'all' from 'eu-central-1a'";
        for (code, message, class) in [
            ("TooManyTargets", "full", Class::LimitReached),
            ("TooManyRegistrationsForTargetId", "full", Class::LimitReached),
            ("TargetGroupNotFound", "gone", Class::NotFound),
            ("InvalidTarget", "outside", Class::Invalid),
            ("ValidationError", "odd", Class::Invalid),
            ("ValidationError", inside, Class::InsideVpc),
            ("AccessDenied", "no", Class::Denied),
        ] {
            let wire = Wire::default();
            wire.refuse(400, code, message);
            let error = target_groups(&wire).await.0.register(ARN, TARGET).await.unwrap_err();
            assert_eq!((error.call, error.class), ("elasticloadbalancing:RegisterTargets", class), "{code}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_deregistered() {
        for code in ["TargetGroupNotFound", "InvalidTarget"] {
            let wire = Wire::default();
            wire.refuse(400, code, "gone");
            assert_eq!(target_groups(&wire).await.0.deregister(ARN, TARGET).await, Ok(()), "{code}");
        }
    }

    #[tokio::test]
    async fn a_throttle_is_retried_once_and_is_no_success() {
        let wire = Wire::default();
        wire.refuse(400, "Throttling", "Rate exceeded");
        wire.refuse(400, "Throttling", "Rate exceeded");
        let (groups, calls) = target_groups(&wire).await;
        let error = groups.deregister(ARN, TARGET).await.unwrap_err();
        assert_eq!((error.class, error.code.as_str()), (Class::Throttled, "Throttling"));
        assert_eq!(calls.take(), [("elasticloadbalancing:DeregisterTargets".to_owned(), 2)].into());
        let error = groups.targets(ARN).await.unwrap_err();
        assert_eq!((error.call, error.class), (HEALTH, Class::Unavailable), "the script has ended");
    }
}
