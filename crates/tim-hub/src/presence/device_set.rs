//! Long lists of devices that many come into and leave while others go through them.
//!
//! A list is kept in chunks that are shared with whoever goes through it. Coming and going costs a look into an index
//! and the change of one chunk, which is copied only if somebody holds it; going through the list needs no lock.

use std::collections::HashMap;
use std::sync::Arc;

use crate::device::Device;

/// How many devices a chunk has.
const CHUNK: usize = 256;
/// Up to this length a list is searched rather than indexed.
const SHORT: usize = 16;

type Chunk = Arc<Vec<Arc<Device>>>;

/// Devices, each once, in no particular order.
#[derive(Debug, Default)]
pub(crate) struct DeviceSet {
    /// All but the last are full, and none is empty.
    chunks: Vec<Chunk>,
    len: usize,
    /// Where in the list each device stands, by its address, which is nobody else's while the list holds it.
    index: Option<HashMap<usize, u32>>,
}

/// A list as it was at one moment.
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

    /// The device at a place, which is below the length.
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

    /// Whether the device was not there before.
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
            index.insert(address(device), place(self.len));
        }
        self.len += 1;
        if self.index.is_none() && self.len > SHORT {
            let all = self.chunks.iter().flat_map(|chunk| chunk.iter()).enumerate();
            self.index = Some(all.map(|(at, device)| (address(device), place(at))).collect());
        }
        true
    }

    /// Whether the device was there. The last one takes its place.
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
                index.insert(address(&last), place(at));
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
fn place(at: usize) -> u32 {
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
        let mut numbers: Vec<u64> = snapshot.iter().map(|device| device.number).collect();
        numbers.sort_unstable();
        numbers
    }

    proptest! {
        #[test]
        fn holds_who_came_and_did_not_leave(steps in proptest::collection::vec((0..900_usize, 0..3_u8), 0..4000)) {
            let devices: Vec<_> = (0..900).map(device).collect();
            let mut list = DeviceSet::default();
            let mut plain = std::collections::BTreeSet::new();
            for (at, step) in steps {
                if step > 0 {
                    prop_assert_eq!(list.insert(&devices[at]), plain.insert(at as u64));
                } else {
                    prop_assert_eq!(list.remove(&devices[at]), plain.remove(&(at as u64)));
                }
                prop_assert_eq!(list.len, plain.len());
            }
            prop_assert_eq!(numbers(&list.snapshot()), plain.iter().copied().collect::<Vec<_>>());
            for (at, found) in (0..list.len).map(|at| (at, list.get(at).unwrap())) {
                prop_assert_eq!(list.find(found), Some(at));
            }
        }
    }

    #[test]
    fn who_goes_through_it_sees_it_as_it_was() {
        let mut list = DeviceSet::default();
        let devices: Vec<_> = (0..1000).map(device).collect();
        devices.iter().for_each(|device| assert!(list.insert(device)));
        let before = list.snapshot();
        devices
            .iter()
            .skip(1)
            .for_each(|device| assert!(list.remove(device)));
        assert_eq!(numbers(&before), (0..1000).collect::<Vec<u64>>());
        assert_eq!(numbers(&list.snapshot()), [0]);
        assert!(list.remove(&devices[0]) && list.get(0).is_none());
        assert_eq!(numbers(&list.snapshot()), [0_u64; 0]);
    }
}
