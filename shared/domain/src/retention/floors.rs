//! The floors: what no rule may take away (S3).

use jiff::Timestamp;

use super::{Because, Place, Point};

/// What keeps one point for its own sake.
pub(super) fn guards(point: &Point, now: Timestamp) -> Vec<Because> {
    let guards = [
        (point.held, Because::FloorHeld),
        (point.in_use, Because::FloorInUse),
        (point.copying, Because::FloorCopying),
        (point.at > now, Because::FloorFuture),
    ];
    guards.into_iter().filter(|(holds, _)| *holds).map(|(_, because)| because).collect()
}

/// The floors that keep each of these points, which are sorted, the newest first. A point from the future is kept, but is not
/// the newest: it may be years old, with a wrong clock.
pub(super) fn reasons(points: &[&Point], place: &Place, now: Timestamp) -> Vec<Vec<Because>> {
    let newest = points.iter().position(|point| point.at <= now);
    let verified = points.iter().position(|point| point.at <= now && point.verified);
    let as_newest = match place {
        Place::Source => Because::FloorNewest,
        Place::Copies(_) => Because::FloorNewestCopy,
    };
    let holding = |(number, point): (usize, &&Point)| {
        let mut because = guards(point, now);
        because.extend((newest == Some(number)).then_some(as_newest));
        because.extend((verified == Some(number)).then_some(Because::FloorNewestVerified));
        because
    };
    points.iter().enumerate().map(holding).collect()
}
