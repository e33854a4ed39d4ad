//! Who may do what.

use tim_groups::suite;

use crate::memory::Memory;

#[test]
fn every_cell_of_the_table() {
    suite::every_cell_of_the_table(&mut Memory::default());
}
