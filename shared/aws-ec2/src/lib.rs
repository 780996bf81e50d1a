//! The ports over AWS's heavy SDKs: EC2, Elastic Load Balancing, Auto Scaling, Systems Manager and KMS. Apart from `aws`, so that a function that needs
//! neither does not carry them.

mod auto_scaling;
mod commands;
mod encryption_keys;
mod instances;
mod node_targets;
mod peerings;
mod regional;
mod route_tables;
mod snapshots;
mod target_groups;
mod volumes;

pub use auto_scaling::AutoScaling;
pub use commands::Commands;
pub use encryption_keys::EncryptionKeys;
pub use instances::Instances;
pub use node_targets::NodeTargets;
pub use peerings::Peerings;
pub use route_tables::RouteTables;
pub use snapshots::Snapshots;
pub use target_groups::TargetGroups;
pub use volumes::Volumes;

/// An EC2 client, with the settings and the interceptor that all clients of the process share.
fn ec2(configuration: &aws::Configuration) -> aws_sdk_ec2::Client {
    aws_sdk_ec2::Client::from_conf(ec2_settings(configuration).build())
}

fn ec2_settings(configuration: &aws::Configuration) -> aws_sdk_ec2::config::Builder {
    aws_sdk_ec2::config::Builder::from(configuration.sdk()).interceptor(configuration.recorder("ec2"))
}
