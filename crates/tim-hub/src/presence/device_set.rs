//! Large sets of devices that change while others iterate over them.
//!
//! A set is kept in chunks that it shares with its snapshots. An insertion or removal costs a look-up in an index and the
//! change of one chunk, which is copied only if a snapshot holds it. Iterating over a snapshot needs no lock.

use std::collections::HashMap;
use std::sync::Arc;

use crate::device::Device;

/// The number of devices in a full chunk.
const CHUNK: usize = 256;
/// Up to this length a set is searched rather than indexed.
const SHORT: usize = 16;

type Chunk = Arc<Vec<Arc<Device>>>;

/// Devices, each once, in no particular order.
#[derive(Debug, Default)]
pub(crate) struct DeviceSet {
    /// All but the last are full, and none is empty.
    chunks: Vec<Chunk>,
    len: usize,
    /// The position of each device by its address, which is unique while the set holds the device.
    index: Option<HashMap<usize, u32>>,
}

/// A set as it was at one moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot(Vec<Chunk>);

impl Snapshot {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Device>> {
        self.0.iter().flat_map(|chunk| chunk.iter())
    }
}

impl DeviceSet {
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot(self.chunks.clone())
    }

    /// The device at a position below the length.
    pub(crate) fn get(&self, at: usize) -> Option<&Arc<Device>> {
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    fn find(&self, device: &Arc<Device>) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(&address(device)).map(|at| *at as usize),
            None => self
                .chunks
                .iter()
                .flat_map(|chunk| chunk.iter())
                .position(|other| Arc::ptr_eq(other, device)),
        }
    }

    /// Adds a device; whether it was not there before.
    pub(crate) fn insert(&mut self, device: &Arc<Device>) -> bool {
        if self.find(device).is_some() {
            return false;
        }
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::default());
        }
        if let Some(last) = self.chunks.last_mut() {
            Arc::make_mut(last).push(Arc::clone(device));
        }
        if let Some(index) = &mut self.index {
            index.insert(address(device), position(self.len));
        }
        self.len += 1;
        if self.index.is_none() && self.len > SHORT {
            let all = self.chunks.iter().flat_map(|chunk| chunk.iter()).enumerate();
            self.index = Some(all.map(|(at, device)| (address(device), position(at))).collect());
        }
        true
    }

    /// Removes a device; whether it was there. The last one takes its position.
    pub(crate) fn remove(&mut self, device: &Arc<Device>) -> bool {
        let Some(at) = self.find(device) else {
            return false;
        };
        let Some(last) = self
            .chunks
            .last_mut()
            .and_then(|chunk| Arc::make_mut(chunk).pop())
        else {
            return false;
        };
        self.len -= 1;
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.pop();
        }
        if let Some(index) = &mut self.index {
            index.remove(&address(device));
        }
        if !Arc::ptr_eq(&last, device) {
            if let Some(index) = &mut self.index {
                index.insert(address(&last), position(at));
            }
            let chunk = self.chunks.get_mut(at / CHUNK).map(Arc::make_mut);
            if let Some(slot) = chunk.and_then(|chunk| chunk.get_mut(at % CHUNK)) {
                *slot = last;
            }
        }
        if self.len <= SHORT / 2 {
            self.index = None;
        }
        true
    }
}

fn address(device: &Arc<Device>) -> usize {
    Arc::as_ptr(device).addr()
}

/// There is no memory for more devices than a u32 counts.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tim_proto::UserId;

    fn device(number: u64) -> Arc<Device> {
        Arc::new(Device::new(UserId::SYSTEM, number, 0))
    }

    fn numbers(snapshot: &Snapshot) -> Vec<u64> {
        let mut numbers: Vec<u64> = snapshot.iter().map(|device| device.number()).collect();
        numbers.sort_unstable();
        numbers
    }

    proptest! {
        #[test]
        fn holds_what_was_inserted_and_not_removed(steps in proptest::collection::vec((0..900_usize, 0..3_u8), 0..4000)) {
            let devices: Vec<_> = (0..900).map(device).collect();
            let mut set = DeviceSet::default();
            let mut plain = std::collections::BTreeSet::new();
            for (at, step) in steps {
                if step > 0 {
                    prop_assert_eq!(set.insert(&devices[at]), plain.insert(at as u64));
                } else {
                    prop_assert_eq!(set.remove(&devices[at]), plain.remove(&(at as u64)));
                }
                prop_assert_eq!(set.len, plain.len());
            }
            prop_assert_eq!(numbers(&set.snapshot()), plain.iter().copied().collect::<Vec<_>>());
            for (at, found) in (0..set.len).map(|at| (at, set.get(at).unwrap())) {
                prop_assert_eq!(set.find(found), Some(at));
            }
        }
    }

    #[test]
    fn a_snapshot_does_not_change() {
        let mut set = DeviceSet::default();
        let devices: Vec<_> = (0..1000).map(device).collect();
        devices.iter().for_each(|device| assert!(set.insert(device)));
        let before = set.snapshot();
        devices
            .iter()
            .skip(1)
            .for_each(|device| assert!(set.remove(device)));
        assert_eq!(numbers(&before), (0..1000).collect::<Vec<u64>>());
        assert_eq!(numbers(&set.snapshot()), [0]);
        assert!(set.remove(&devices[0]) && set.get(0).is_none());
        assert_eq!(numbers(&set.snapshot()), [0_u64; 0]);
    }
}
