//! What a cluster's restore points take up, and cost: from the records alone, without a call to EC2.
//!
//! EBS bills the blocks that it stores, each once for all snapshots of a volume that show it, and tells of a snapshot only how
//! much it shows (`API_Snapshot`, FullSnapshotSizeInBytes). So the truth lies between two numbers: at least the largest
//! snapshot of each volume, at most all of them as if they had nothing in common.

use std::collections::{BTreeMap, BTreeSet};

use domain::spec::Problem;
use ports::Table;
use runtime::envelope::kind;
use runtime::records::{ClusterRecord, RestoreMember, RestorePoint};
use serde::Serialize;
use serde_json::{Value, json};

use super::request::problem;
use super::{Stop, refused};

/// By Region, of one GiB for a month, in whatever currency.
pub type Prices = BTreeMap<String, f64>;

/// What some snapshots take up.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Taken {
    restore_points: usize,
    snapshots: usize,
    /// EC2 tells a size once a snapshot is complete. What is not known yet is in neither number below.
    sizes_unknown: usize,
    at_least_gib: f64,
    at_most_gib: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_month: Option<Amount>,
}

/// In the currency of the prices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Amount {
    at_least: f64,
    at_most: f64,
}

/// How copies were stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Copies {
    /// All blocks anew: the first of a volume, and the first with another key.
    full: usize,
    /// New blocks alone.
    incremental: usize,
    /// Found by their tags.
    unknown: usize,
}

/// One Region.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct InRegion {
    #[serde(flatten)]
    taken: Taken,
    /// What somebody's hold keeps.
    held: Taken,
    #[serde(skip_serializing_if = "Option::is_none")]
    copies: Option<Copies>,
    /// By the volume that was taken. One that nothing is taken of any more stays until its last restore point goes.
    volumes: BTreeMap<String, Taken>,
}

/// Reads the prices of a request.
///
/// # Errors
/// They are no numbers by Region.
pub fn prices(given: Option<&Value>) -> Result<Prices, Problem> {
    const WANTED: &str = "must be what a GiB costs for a month, by Region, such as {\"eu-central-1\": 0.054} (https://aws.amazon.com/ebs/pricing/)";
    let Some(given) = given else { return Ok(Prices::new()) };
    let Some(given) = given.as_object() else {
        return Err(problem("prices", format!("{WANTED}, not {}", kind(given))));
    };
    let price = |(region, price): (&String, &Value)| match price.as_f64() {
        Some(amount) if amount >= 0.0 => Ok((region.clone(), amount)),
        _ => Err(problem(&format!("prices.{region}"), format!("must be a number from 0 on, not {price}"))),
    };
    given.iter().map(price).collect()
}

/// The report.
///
/// # Errors
/// The table could not be read; or there is neither such a cluster nor a restore point of it; or a price is of a Region that has
/// no restore point.
pub async fn cost(table: &impl Table, cluster: &str, prices: &Prices) -> Result<Value, Stop> {
    let (points, unreadable) = RestorePoint::all(table, cluster).await?;
    if points.is_empty() && unreadable.is_empty() && table.get(&ClusterRecord::key(cluster)).await?.is_none() {
        return Err(refused("cost", format!("there is no cluster `{cluster}`, and no restore point of one")));
    }
    let regions: BTreeSet<&str> = points.iter().map(|point| point.region.as_str()).collect();
    if let Some(elsewhere) = prices.keys().find(|region| !regions.contains(region.as_str())) {
        let known = if regions.is_empty() { "none".to_owned() } else { Vec::from_iter(regions).join(", ") };
        let path = format!("prices.{elsewhere}");
        return Err(refused(&path, format!("there is no restore point in that Region; there are some in: {known}")));
    }
    let unreadable: Vec<String> = unreadable.iter().map(ToString::to_string).collect();
    let regions: BTreeMap<&str, InRegion> =
        regions.into_iter().map(|region| (region, in_region(region, &points, prices.get(region).copied()))).collect();
    Ok(json!({"ok": true, "cluster": cluster, "regions": regions, "unreadable": unreadable}))
}

fn in_region(region: &str, points: &[RestorePoint], price: Option<f64>) -> InRegion {
    let here: Vec<&RestorePoint> = points.iter().filter(|point| point.region == region).collect();
    let held: Vec<&RestorePoint> = here.iter().copied().filter(|point| !point.holds.is_empty()).collect();
    let stored = |point: &&RestorePoint| point.copy_of.is_some();
    let copies = here.iter().any(stored).then(|| {
        let mut copies = Copies::default();
        for member in here.iter().copied().filter(stored).flat_map(members) {
            match member.incremental {
                Some(true) => copies.incremental += 1,
                Some(false) => copies.full += 1,
                None => copies.unknown += 1,
            }
        }
        copies
    });
    let volumes: BTreeSet<&str> = here.iter().copied().flat_map(members).map(|m| m.volume.as_str()).collect();
    let of = |volume: &str| taken(&here, |member| member.volume == volume, price);
    InRegion {
        taken: taken(&here, |_| true, price),
        held: taken(&held, |_| true, price),
        copies,
        volumes: volumes.into_iter().map(|volume| (volume.to_owned(), of(volume))).collect(),
    }
}

/// The members whose snapshots were begun: they are billed, whatever became of their set.
fn members(point: &RestorePoint) -> impl Iterator<Item = &RestoreMember> {
    point.members.values().filter(|member| !member.snapshot.is_empty())
}

fn taken(points: &[&RestorePoint], counts: impl Fn(&RestoreMember) -> bool, price: Option<f64>) -> Taken {
    let mut points: Vec<&RestorePoint> = points.to_vec();
    points.sort_by_key(|point| point.taken_at);
    let mut taken = Taken::default();
    let mut most: u64 = 0;
    // Of each volume, the largest snapshot since the last that shares nothing with those before.
    let mut since: BTreeMap<&str, u64> = BTreeMap::new();
    let mut least: u64 = 0;
    for point in points {
        let counted: Vec<&RestoreMember> = members(point).filter(|member| counts(member)).collect();
        taken.restore_points += usize::from(!counted.is_empty());
        taken.snapshots += counted.len();
        for member in counted {
            let Some(bytes) = member.full_bytes else {
                taken.sizes_unknown += 1;
                continue;
            };
            most = most.saturating_add(bytes);
            let largest = since.entry(&member.volume).or_default();
            if member.incremental == Some(false) {
                least = least.saturating_add(std::mem::take(largest));
            }
            *largest = (*largest).max(bytes);
        }
    }
    least = since.into_values().fold(least, u64::saturating_add);
    (taken.at_least_gib, taken.at_most_gib) = (gib(least), gib(most));
    let amount = |gib: f64, price: f64| (gib * price * 100.0).round() / 100.0;
    taken.per_month = price
        .map(|price| Amount { at_least: amount(taken.at_least_gib, price), at_most: amount(taken.at_most_gib, price) });
    taken
}

/// To a hundredth.
fn gib(bytes: u64) -> f64 {
    let hundredths = bytes.saturating_mul(100).saturating_add(1 << 29) >> 30;
    f64::from(u32::try_from(hundredths).unwrap_or(u32::MAX)) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(day: u8, region: &str, members: &[(&str, u64, Option<bool>)]) -> RestorePoint {
        let member = |(volume, gib, incremental): &(&str, u64, Option<bool>)| {
            let member = RestoreMember {
                snapshot: format!("snap-{volume}-{day}"),
                volume: (*volume).to_owned(),
                full_bytes: (*gib > 0).then_some(*gib << 30),
                incremental: *incremental,
                ..RestoreMember::default()
            };
            ((*volume).to_owned(), member)
        };
        RestorePoint {
            set: format!("acme.202611{day:02}T000000Z.1"),
            taken_at: format!("2026-11-{day:02}T00:00:00Z").parse().unwrap(),
            region: region.to_owned(),
            copy_of: (region != "home").then(|| "home".to_owned()),
            members: members.iter().map(member).collect(),
            ..RestorePoint::default()
        }
    }

    fn gibs(taken: &Taken) -> (f64, f64) {
        (taken.at_least_gib, taken.at_most_gib)
    }

    #[test]
    fn blocks_that_are_shared_are_at_least_those_of_the_largest_snapshot_of_each_volume() {
        let points = [
            point(1, "home", &[("a", 50, None), ("b", 8, None)]),
            point(2, "home", &[("a", 60, None), ("b", 7, None)]),
            point(3, "home", &[("a", 55, None), ("b", 0, None)]),
        ];
        let home = in_region("home", &points, Some(0.05));
        assert_eq!((home.taken.restore_points, home.taken.snapshots, home.taken.sizes_unknown), (3, 6, 1));
        assert_eq!(gibs(&home.taken), (68.0, 180.0));
        assert_eq!(home.taken.per_month, Some(Amount { at_least: 3.4, at_most: 9.0 }));
        assert_eq!((gibs(&home.volumes["a"]), gibs(&home.volumes["b"])), ((60.0, 165.0), (8.0, 15.0)));
        assert_eq!((home.held.snapshots, gibs(&home.held), home.copies), (0, (0.0, 0.0), None));
    }

    /// Another key, or a newest copy that was deleted by hand: all blocks are stored a second time.
    #[test]
    fn a_full_copy_shares_nothing_with_those_before() {
        let points = [
            point(1, "away", &[("a", 50, Some(false))]),
            point(2, "away", &[("a", 60, Some(true))]),
            point(3, "away", &[("a", 60, Some(false))]),
            point(4, "away", &[("a", 58, Some(true))]),
            point(5, "away", &[("a", 59, None)]),
        ];
        let away = in_region("away", &points, None);
        assert_eq!(gibs(&away.taken), (120.0, 287.0));
        assert_eq!(away.copies, Some(Copies { full: 2, incremental: 2, unknown: 1 }));
        assert_eq!(away.taken.per_month, None);
    }

    #[test]
    fn what_a_hold_keeps_is_told_by_itself_and_what_was_never_begun_costs_nothing() {
        let mut held = point(1, "home", &[("a", 50, None)]);
        let hold = runtime::records::Hold { by: "ada".to_owned(), at: held.taken_at, until: None };
        held.holds.insert("audit".to_owned(), hold);
        let mut intended = point(3, "home", &[("a", 0, None)]);
        intended.members.values_mut().for_each(|member| member.snapshot.clear());
        let home = in_region("home", &[held, point(2, "home", &[("a", 50, None)]), intended], None);
        assert_eq!((home.taken.restore_points, home.held.restore_points), (2, 1));
        assert_eq!(gibs(&home.held), (50.0, 50.0));
    }

    #[test]
    fn prices_are_numbers_by_region() {
        let told = |given: Value| prices(Some(&given)).map_err(|problem| problem.to_string());
        assert_eq!(told(json!({"eu-central-1": 0.054})), Ok([("eu-central-1".to_owned(), 0.054)].into()));
        let refused = told(json!({"eu-central-1": "0.05"})).unwrap_err();
        assert_eq!(refused, "prices.eu-central-1: must be a number from 0 on, not \"0.05\"");
        assert!(told(json!({"eu-central-1": -1})).is_err());
        assert!(told(json!(0.05)).unwrap_err().contains("by Region"));
    }
}
