//! Elastic Load Balancing: target groups, whose targets are healthy as soon as they are registered.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Answer, Form, list, refusal, text};
use crate::fleet::Member;

#[derive(Debug, Default)]
pub(super) struct LoadBalancers(BTreeMap<String, Group>);

#[derive(Debug)]
struct Group {
    vpc: String,
    /// By address and port: whether it drains. Draining lasts longer than a measurement.
    targets: BTreeMap<(String, String), bool>,
}

impl LoadBalancers {
    pub(super) fn make(&mut self, member: &Member) {
        let group = Group { vpc: member.own_vpc.clone(), targets: BTreeMap::new() };
        self.0.insert(member.target_group.clone(), group);
    }

    pub(super) fn register(&mut self, arn: &str, address: &str, port: &str) {
        if let Some(group) = self.0.get_mut(arn) {
            group.targets.insert((address.to_owned(), port.to_owned()), false);
        }
    }

    pub(super) fn serving(&self) -> usize {
        self.0.values().flat_map(|group| group.targets.values()).filter(|draining| !**draining).count()
    }

    pub(super) fn answer(&mut self, operation: &str, form: &Form) -> Answer {
        let arn = match operation {
            "DescribeTargetGroups" => list(form, "TargetGroupArns.member").next().unwrap_or_default(),
            _ => text(form, "TargetGroupArn"),
        };
        let group = self.0.get_mut(arn).ok_or_else(|| refusal("TargetGroupNotFound"))?;
        let target = (text(form, "Targets.member.1.Id").to_owned(), text(form, "Targets.member.1.Port").to_owned());
        let result = match operation {
            "DescribeTargetGroups" => format!(
                "<TargetGroups><member><TargetGroupArn>{arn}</TargetGroupArn><Protocol>TCP</Protocol><Port>5432</Port>\
                 <VpcId>{}</VpcId><TargetType>ip</TargetType><IpAddressType>ipv4</IpAddressType></member></TargetGroups>",
                group.vpc
            ),
            "DescribeTargetHealth" => health(group),
            "RegisterTargets" => {
                group.targets.insert(target, false);
                String::new()
            }
            "DeregisterTargets" => {
                group.targets.entry(target).and_modify(|draining| *draining = true);
                String::new()
            }
            _ => return Err(refusal("InvalidAction")),
        };
        Ok(format!("<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>"))
    }
}

fn health(group: &Group) -> String {
    let mut xml = "<TargetHealthDescriptions>".to_owned();
    for ((address, port), draining) in &group.targets {
        let health = if *draining {
            "<State>draining</State><Reason>Target.DeregistrationInProgress</Reason>"
        } else {
            "<State>healthy</State>"
        };
        let _ = write!(
            xml,
            "<member><Target><Id>{address}</Id><Port>{port}</Port><AvailabilityZone>all</AvailabilityZone></Target>\
             <HealthCheckPort>{port}</HealthCheckPort><TargetHealth>{health}</TargetHealth></member>"
        );
    }
    xml + "</TargetHealthDescriptions>"
}
