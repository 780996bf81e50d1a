//! The names that a spec is made of, each a type that only holds what its rule allows.
//!
//! A value is checked once, where it comes in; whoever holds a `VpcId` need not look at it again. Each type has
//! `as_str`, `Display`, `AsRef<str>`, `TryFrom<&str>` and `TryFrom<String>`, serialises as text, and carries a pattern for
//! the JSON Schema. A pattern may allow more than its check does, never less: an editor must not mark what a put accepts.

use std::net::IpAddr;

/// Why a text is not the name that it should be. Its message is a rule: "must be 12 digits".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be {rule}")]
pub struct Malformed {
    rule: &'static str,
    secret: bool,
}

impl Malformed {
    pub(crate) const fn new(rule: &'static str) -> Self {
        Self { rule, secret: false }
    }

    const fn hiding_value(self) -> Self {
        Self { secret: true, ..self }
    }

    /// Whether the refused text may be shown: someone may have pasted a password where the name of a secret belongs.
    #[must_use]
    pub fn may_show_value(&self) -> bool {
        !self.secret
    }
}

/// Defines a text type: its doc comment, name, rule in words, pattern for the JSON Schema and the function that takes a text
/// and gives its normal form, or nothing; `hiding_value` where what was refused must not be shown.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $rule:expr, $pattern:expr, $normal:expr $(, $secret:ident)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text in its normal form.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $crate::names::Malformed;
            fn try_from(text: &str) -> Result<Self, Self::Error> {
                let normal: fn(&str) -> Option<String> = $normal;
                normal(text).map(Self).ok_or($crate::names::Malformed::new($rule)$(.$secret())?)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::names::Malformed;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::try_from(text.as_str())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}
pub(crate) use text_type;

text_type!(
    /// The name of a cluster: 2 to 40 of a-z, 0-9 and `-`, starting with a letter.
    ClusterName,
    "2 to 40 characters of a-z, 0-9 and `-`, starting with a letter",
    "^[a-z][a-z0-9-]{1,39}$",
    |text| keep(text, (2..=40).contains(&text.len()) && starts_with_lower(text) && all(text, |c| lower(c) || c == '-'))
);

text_type!(
    /// The name of an endpoint inside its cluster: 1 to 40 of a-z, 0-9, `-` and `_`, starting with a letter.
    EndpointName,
    "1 to 40 characters of a-z, 0-9, `-` and `_`, starting with a letter",
    "^[a-z][a-z0-9_-]{0,39}$",
    |text| keep(text, text.len() <= 40 && starts_with_lower(text) && all(text, |c| lower(c) || matches!(c, '-' | '_')))
);

text_type!(
    /// The id of an AWS account: 12 digits.
    AccountId,
    "an AWS account id: 12 digits",
    "^[0-9]{12}$",
    |text| keep(text, is_account(text))
);

text_type!(
    /// The id of a VPC, `vpc-...`.
    VpcId,
    "the id of a VPC: `vpc-` and 1 to 32 characters of a-z and 0-9",
    "^vpc-[a-z0-9]{1,32}$",
    |text| keep(text, is_resource_id(text, "vpc-"))
);

text_type!(
    /// The id of a VPC peering connection, `pcx-...`.
    PeeringId,
    "the id of a peering connection: `pcx-` and 1 to 32 characters of a-z and 0-9",
    "^pcx-[a-z0-9]{1,32}$",
    |text| keep(text, is_resource_id(text, "pcx-"))
);

text_type!(
    /// The id of a route table, `rtb-...`.
    RouteTableId,
    "the id of a route table: `rtb-` and 1 to 32 characters of a-z and 0-9",
    "^rtb-[a-z0-9]{1,32}$",
    |text| keep(text, is_resource_id(text, "rtb-"))
);

text_type!(
    /// The ARN of an Elastic Load Balancing target group.
    TargetGroupArn,
    "the ARN of a target group: `arn:aws:elasticloadbalancing:<region>:<account>:targetgroup/<name>/<id>`",
    "^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:targetgroup/[A-Za-z0-9-]{1,32}/[0-9a-z]+$",
    |text| keep(text, is_target_group(text))
);

text_type!(
    /// A host that a spec names: a DNS name or an IP address. Kept in lower case and without a trailing dot, so that two
    /// spellings of one name are one host.
    Host,
    "a host name (labels of letters, digits, `-` and `_` between dots, 253 characters at most) or an IP address, \
     without a port or a scheme",
    "^[A-Za-z0-9_:.-]{1,254}$",
    normal_host
);

impl Host {
    /// The address, where the host is an address and not a name: there is nothing to resolve then.
    #[must_use]
    pub fn literal(&self) -> Option<IpAddr> {
        self.0.parse().ok()
    }
}

text_type!(
    /// The name or ARN of a secret in AWS Secrets Manager; never the secret itself.
    SecretId,
    "the name or ARN of a secret in Secrets Manager (letters, digits and `/_+=.@-`), not the secret itself",
    "^[A-Za-z0-9/_+=.@:-]{1,2048}$",
    |text| keep(text, is_secret_id(text)),
    hiding_value
);

text_type!(
    /// The name or ARN of a Lambda function, with a version or alias behind it if wanted.
    FunctionName,
    "the name (1 to 64 letters, digits, `-` and `_`) or ARN of a Lambda function",
    "^(arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:)?[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9_$-]{1,128})?$",
    |text| keep(text, is_function(text))
);

text_type!(
    /// The name of an Auto Scaling group: 1 to 255 printable ASCII characters without `:` (Auto Scaling's own rule).
    AsgName,
    "the name of an Auto Scaling group: 1 to 255 printable ASCII characters without space and `:`",
    "^[!-9;-~]{1,255}$",
    |text| keep(text, (1..=255).contains(&text.len()) && all(text, |c| c.is_ascii_graphic() && c != ':'))
);

text_type!(
    /// The name of a lifecycle hook: 1 to 255 of letters, digits, `-`, `_` and `/` (API_PutLifecycleHook).
    HookName,
    "the name of a lifecycle hook: 1 to 255 letters, digits, `-`, `_` and `/`",
    "^[A-Za-z0-9_/-]{1,255}$",
    |text| keep(text, (1..=255).contains(&text.len()) && all(text, |c| word(c) || c == '/'))
);

text_type!(
    /// Patroni's scope, the name of the PostgreSQL cluster in its DCS.
    PatroniScope,
    "1 to 128 letters, digits, `-`, `_` and `.`",
    "^[A-Za-z0-9._-]{1,128}$",
    |text| keep(text, (1..=128).contains(&text.len()) && all(text, |c| word(c) || c == '.'))
);

text_type!(
    /// The name of a block device as EC2 maps it, such as `/dev/sdf`.
    DeviceName,
    "a block device such as `/dev/sdf`: `/dev/` and 1 to 32 characters of a-z and 0-9",
    "^/dev/[a-z0-9]{1,32}$",
    |text| keep(text, is_resource_id(text, "/dev/"))
);

text_type!(
    /// The code of an AWS Region, such as `us-west-2`.
    RegionName,
    "the code of an AWS Region such as `us-west-2`",
    "^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$",
    |text| keep(text, is_region(text))
);

text_type!(
    /// A KMS key: an alias (`alias/dr`), a key id or the ARN of either.
    KmsKeyId,
    "a KMS key: `alias/<name>`, a key id or the ARN of either",
    "^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/|alias/)?[A-Za-z0-9/_-]{1,256}$",
    |text| keep(text, is_kms_key(text))
);

text_type!(
    /// An absolute path on a node, below `/`. Its few characters need no quoting in a shell.
    NodePath,
    "an absolute path below `/` of letters, digits, `.`, `_` and `-`, without `..`, `//` or a `/` at its end",
    "^(/[A-Za-z0-9._-]+)+$",
    |text| keep(text, is_path(text))
);

fn keep(text: &str, good: bool) -> Option<String> {
    good.then(|| text.to_owned())
}

fn all(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    text.chars().all(allowed)
}

fn lower(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn starts_with_lower(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && all(text, |c| c.is_ascii_digit())
}

fn is_resource_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|id| (1..=32).contains(&id.len()) && all(id, lower))
}

/// Region and resource of an ARN of that service. The account must be given.
fn arn<'a>(text: &'a str, service: &str) -> Option<(&'a str, &'a str)> {
    let mut parts = text.splitn(6, ':');
    let (head, partition) = (parts.next()?, parts.next()?);
    let (named, region, account, resource) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let whole = head == "arn"
        && partition.starts_with("aws")
        && all(partition, |c| c.is_ascii_lowercase() || c == '-')
        && named == service
        && is_region(region)
        && is_account(account);
    whole.then_some((region, resource))
}

fn is_target_group(text: &str) -> bool {
    let Some((_, resource)) = arn(text, "elasticloadbalancing") else { return false };
    let mut parts = resource.split('/');
    let (kind, name, id) = (parts.next(), parts.next(), parts.next());
    kind == Some("targetgroup")
        && name
            .is_some_and(|name| (1..=32).contains(&name.len()) && all(name, |c| c.is_ascii_alphanumeric() || c == '-'))
        && id.is_some_and(|id| !id.is_empty() && all(id, lower))
        && parts.next().is_none()
}

fn is_region(text: &str) -> bool {
    let mut parts = text.split('-');
    let Some(area) = parts.next() else { return false };
    let Some(number) = parts.next_back() else { return false };
    let mut words = 0;
    for part in parts {
        if part.is_empty() || !all(part, |c| c.is_ascii_lowercase()) {
            return false;
        }
        words += 1;
    }
    (2..=5).contains(&area.len())
        && all(area, |c| c.is_ascii_lowercase())
        && words > 0
        && (1..=2).contains(&number.len())
        && all(number, |c| c.is_ascii_digit())
}

fn is_secret_id(text: &str) -> bool {
    let name = |name: &str| {
        (1..=512).contains(&name.len()) && all(name, |c| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c))
    };
    if text.starts_with("arn:") {
        return arn(text, "secretsmanager")
            .is_some_and(|(_, resource)| resource.strip_prefix("secret:").is_some_and(name));
    }
    name(text)
}

fn is_function(text: &str) -> bool {
    let named = if text.starts_with("arn:") {
        arn(text, "lambda").and_then(|(_, resource)| resource.strip_prefix("function:"))
    } else {
        Some(text)
    };
    let Some(named) = named else { return false };
    let (name, qualifier) = named.split_once(':').map_or((named, None), |(name, qualifier)| (name, Some(qualifier)));
    (1..=64).contains(&name.len())
        && all(name, word)
        && qualifier.is_none_or(|text| (1..=128).contains(&text.len()) && all(text, |c| word(c) || c == '$'))
}

fn is_kms_key(text: &str) -> bool {
    let resource = if text.starts_with("arn:") {
        match arn(text, "kms") {
            Some((_, resource)) if resource.starts_with("key/") || resource.starts_with("alias/") => resource,
            _ => return false,
        }
    } else if text.starts_with("alias/") || !text.contains('/') {
        text
    } else {
        return false;
    };
    let name = resource.strip_prefix("alias/").or_else(|| resource.strip_prefix("key/")).unwrap_or(resource);
    (1..=250).contains(&name.len()) && all(name, |c| word(c) || c == '/')
}

fn is_path(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('/') else { return false };
    text.len() <= 255
        && rest
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != ".." && all(part, |c| word(c) || c == '.'))
}

/// RFC 1123 labels with `_` beside (SRV-like and Active Directory names have it). A last label of digits only would be a
/// mistyped address, which a resolver must not be asked for.
fn normal_host(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && all(label, word) && !label.starts_with('-') && !label.ends_with('-')
    };
    let numeric_end = name.rsplit('.').next().is_some_and(|last| all(last, |c| c.is_ascii_digit()));
    (name.len() <= 253 && name.split('.').all(label) && !numeric_end).then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
