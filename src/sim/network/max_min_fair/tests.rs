//! Small networks whose ends are found by hand.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::SharingConfig;
use super::*;

const MS: u64 = 1_000_000;
/// 8 Mbps are 1 MB/s.
const MB_PER_S: f64 = 8e6;

fn at(milliseconds: u64) -> SimTime {
    SimTime::from_nanos(milliseconds * MS)
}

fn flow(id: u64, direction: Direction, mb_per_s: f64, bytes: u64) -> Flow {
    let client_rate = Bandwidth::from_bits_per_s(mb_per_s * MB_PER_S);
    Flow { id, direction, client_rate, bytes: Bytes::new(bytes), region: 0 }
}

/// A server that sends and receives at so many MB/s.
fn network(mb_per_s: Option<f64>) -> Box<dyn NetworkModel> {
    let rate = mb_per_s.map(|rate| Bandwidth::from_bits_per_s(rate * MB_PER_S));
    ServerNetworkConfig { uplink: rate, downlink: rate, sharing: SharingConfig::default() }.build(&[])
}

/// Runs until nothing is in flight and returns the ends in their order.
fn drain(network: &mut dyn NetworkModel) -> Vec<(SimTime, u64)> {
    let mut ends = Vec::new();
    while let Some(now) = network.next() {
        let id = network.finish(now).expect("a flow ends at the time announced");
        ends.push((now, id));
    }
    assert_eq!(network.n_flows(), 0);
    ends
}

#[test]
fn equal_flows_share_equally_and_leave_in_the_order_of_their_ids() {
    // Four flows of 1 MB on 1 MB/s: 0.25 MB/s each, so all end at 4 s.
    let mut network = network(Some(1.0));
    for id in [3, 1, 4, 2] {
        network.start(at(0), flow(id, Direction::Down, 1.0, 1_000_000));
    }
    assert_eq!(drain(&mut *network), [1, 2, 3, 4].map(|id| (at(4000), id)));
}

#[test]
fn what_a_slow_client_leaves_goes_to_the_others() {
    // 10 MB/s over caps 2, 100 and 100: 2, 4 and 4 MB/s, so the first ends at 1 s. Then two flows at 5 MB/s: the
    // second, with 4 MB left, ends at 1 + 4 / 5 = 1.8 s; the third, with 18 - 4 - 4 = 10 MB left, then has the link
    // alone and ends at 2.8 s.
    let mut network = network(Some(10.0));
    for (id, cap, bytes) in [(1, 2.0, 2_000_000), (2, 100.0, 8_000_000), (3, 100.0, 18_000_000)] {
        network.start(at(0), flow(id, Direction::Up, cap, bytes));
    }
    assert_eq!(drain(&mut *network), [(at(1000), 1), (at(1800), 2), (at(2800), 3)]);
}

#[test]
fn an_arrival_halves_the_rate_from_then_on() {
    // 1 MB alone for 0.5 s: 0.5 MB left. Both at 0.5 MB/s: the first ends at 1.5 s, when the second has 0.5 MB
    // left and the link alone: 2 s.
    let mut network = network(Some(1.0));
    network.start(at(0), flow(1, Direction::Down, 9.0, 1_000_000));
    network.start(at(500), flow(2, Direction::Down, 9.0, 1_000_000));
    assert_eq!(drain(&mut *network), [(at(1500), 1), (at(2000), 2)]);
}

#[test]
fn a_cancelled_flow_frees_its_share_at_once() {
    // 0.5 MB/s each until 1 s; then the other has 0.5 MB left at 1 MB/s: 1.5 s.
    let mut network = network(Some(1.0));
    network.start(at(0), flow(1, Direction::Down, 9.0, 1_000_000));
    network.start(at(0), flow(2, Direction::Down, 9.0, 1_000_000));
    assert_eq!(network.cancel(at(1000), 1), Bytes::new(500_000));
    assert_eq!(drain(&mut *network), [(at(1500), 2)]);
}

#[test]
fn the_two_directions_do_not_meet() {
    let mut network = network(Some(1.0));
    network.start(at(0), flow(2, Direction::Down, 9.0, 1_000_000));
    network.start(at(0), flow(1, Direction::Up, 9.0, 1_000_000));
    assert_eq!(drain(&mut *network), [(at(1000), 1), (at(1000), 2)]);
}

#[test]
fn without_a_limit_each_client_has_its_own_rate() {
    let mut network = network(None);
    network.start(at(0), flow(1, Direction::Down, 1.0, 1_000_000));
    network.start(at(0), flow(2, Direction::Down, 4.0, 1_000_000));
    assert_eq!(drain(&mut *network), [(at(250), 2), (at(1000), 1)]);
}

#[test]
fn a_flow_that_has_ended_may_still_be_cancelled_and_ids_may_be_used_again() {
    let mut network = network(Some(1.0));
    network.start(at(0), flow(1, Direction::Down, 9.0, 1_000_000));
    network.start(at(0), flow(2, Direction::Down, 9.0, 0));
    assert_eq!(network.next(), Some(at(0)));
    assert_eq!(network.cancel(at(0), 2), Bytes::ZERO);
    assert_eq!(network.cancel(at(0), 1), Bytes::ZERO);
    network.start(at(0), flow(1, Direction::Down, 9.0, 1_000_000));
    network.start(at(0), flow(2, Direction::Down, 9.0, 1_000_000));
    assert_eq!(network.cancel(at(2000), 1), Bytes::new(1_000_000));
    assert_eq!(drain(&mut *network), [(at(2000), 2)]);
}

#[test]
fn a_rate_may_change_and_a_stalled_flow_leaves_its_share_to_the_others() {
    // 10 MB/s for caps 9 and 9: 5 MB/s each until 1 s. Then 9 MB/s for the second alone: 9 MB left, 2 s. At 3 s the
    // first goes on with 5 MB left at 2 MB/s: 5.5 s.
    let mut network = network(Some(10.0));
    network.start(at(0), flow(1, Direction::Up, 9.0, 10_000_000));
    network.start(at(0), flow(2, Direction::Up, 9.0, 14_000_000));
    network.set_rate(at(1000), 1, Bandwidth::from_bits_per_s(0.0));
    assert_eq!((network.next(), network.finish(at(2000))), (Some(at(2000)), Some(2)));
    assert_eq!((network.next(), network.n_flows()), (None, 1));
    network.set_rate(at(3000), 1, Bandwidth::from_bits_per_s(2.0 * MB_PER_S));
    assert_eq!(drain(&mut *network), [(at(5500), 1)]);
    network.start(at(6000), flow(3, Direction::Up, 0.0, 1));
    assert_eq!((network.next(), network.cancel(at(7000), 3)), (None, Bytes::ZERO));
}

#[test]
#[should_panic(expected = "flow 1 is in flight already")]
fn an_id_in_flight_is_refused() {
    let mut network = network(None);
    network.start(at(0), flow(1, Direction::Down, 1.0, 1));
    network.start(at(0), flow(1, Direction::Down, 1.0, 1));
}

/// A class that is never empty for eleven days counts anew 900 times and keeps its precision.
#[test]
fn a_busy_class_stays_exact() {
    // 1 TB at the cap of 1 MB/s, on a link of 1.5 MB/s. Every 200 s a flow of 1 MB joins the class: 0.75 MB/s each,
    // so it ends after 1,333,333,333.3 ns, rounded up; meanwhile the other loses a quarter of that time.
    let mut network = network(Some(1.5));
    network.start(at(0), flow(0, Direction::Down, 1.0, 1_000_000_000_000));
    for id in 1..=5000 {
        let start = at(id * 200_000);
        network.start(start, flow(id, Direction::Down, 1.0, 1_000_000));
        let end = start.as_nanos() + 1_333_333_334;
        assert_eq!(network.next(), Some(SimTime::from_nanos(end)), "flow {id}");
        assert_eq!(network.finish(SimTime::from_nanos(end)), Some(id));
    }
    // 1,000,000 s + 5000 x 0.3333333335 s, to a microsecond.
    let end = network.next().expect("the long flow").as_nanos();
    assert!(end.abs_diff(1_001_666_666_667_500) < 1000, "{end}");
}

proptest! {
    /// A link that is never idle moves its capacity: what arrived and what was moved in vain add up to it. `sizes`
    /// also says whether the end of a flow has another one cancelled.
    #[test]
    fn a_full_link_moves_its_capacity(sizes in prop::collection::vec((1u64..5_000_000, any::<bool>()), 1..40)) {
        let mut network = network(Some(1.0));
        for (&(bytes, _), id) in sizes.iter().zip(0u64..) {
            network.start(at(0), flow(id, Direction::Down, 7.0 + id as f64, bytes));
        }
        let mut in_flight: BTreeSet<u64> = (0..sizes.len() as u64).collect();
        let (mut moved, mut now) = (0, SimTime::ZERO);
        while let Some(end) = network.next() {
            now = end;
            let id = network.finish(now).expect("a flow ends at the time announced");
            in_flight.remove(&id);
            moved += sizes[id as usize].0;
            if sizes[id as usize].1 && let Some(doomed) = in_flight.pop_last() {
                moved += network.cancel(now, doomed).get();
            }
        }
        // Each cancellation rounds down by less than a byte, each end up by less than a nanosecond.
        let capacity = now.as_secs_f64() * 1e6;
        prop_assert!((capacity - moved as f64).abs() <= sizes.len() as f64 + 1.0, "{capacity} against {moved}");
    }

    /// What a cancelled flow has moved never falls with time and never exceeds its size.
    #[test]
    fn moved_bytes_grow(mut times in prop::collection::vec(0u64..4_000_000_000, 1..20), bytes in 1u64..2_000_000) {
        times.sort_unstable();
        let mut last = 0;
        for time in times {
            let mut network = network(Some(1.0));
            network.start(at(0), flow(1, Direction::Down, 0.7, bytes));
            network.start(at(0), flow(2, Direction::Down, 3.0, 9_000_000));
            network.start(at(0), flow(3, Direction::Down, 3.0, 9_000_000));
            let mut ended = false;
            while let Some(now) = network.next().filter(|next| next.as_nanos() <= time) {
                ended |= network.finish(now) == Some(1);
            }
            let moved = if ended { bytes } else { network.cancel(SimTime::from_nanos(time), 1).get() };
            prop_assert!(last <= moved && moved <= bytes);
            last = moved;
        }
    }
}
