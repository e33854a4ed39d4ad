//! A board in QEMU (`mps2-an386`) whose line says again what a hub has said before: it shows what an image needs of the stack,
//! how large futures are, and how many instructions a received message takes, from the first to the last.

use core::arch::asm;
use core::fmt::{self, Write};
use core::hint::black_box;

use crate::{Board, REPLAYED, client, polled};

/// The bytes at a time, as the interrupt of a UART leaves them in a ring.
const PORTION: usize = 64;

const PAINT: u32 = 0x5AA5_C33C;
/// The stack grows down from its top to here.
const STACK_END_AT: usize = 0x2000_1000;
const STACK_END: *mut u32 = STACK_END_AT as _;
const STACK_LEN: usize = 0xF000;
const SYSTICK_CONTROL: *mut u32 = 0xE000_E010_usize as _;
const SYSTICK_RELOAD: *mut u32 = 0xE000_E014_usize as _;
const SYSTICK_VALUE: *mut u32 = 0xE000_E018_usize as _;
const SYSTICK_MAX: u32 = 0xFF_FFFF;

/// A hub's half of a conversation: after so many bytes of the device's (4 bytes), so many bytes (4 bytes), and those.
struct Replay {
    script: &'static [u8],
    sent: u32,
    chunk: &'static [u8],
    micros: u64,
    shown: u32,
    last: u32,
    ticks: u32,
}

impl Replay {
    const fn new(script: &'static [u8]) -> Self {
        Self {
            script,
            sent: 0,
            chunk: &[],
            micros: 0,
            shown: 0,
            last: 0,
            ticks: 0,
        }
    }

    fn next_chunk(&mut self) -> Option<()> {
        let (head, rest) = self.script.split_first_chunk::<8>()?;
        let [s0, s1, s2, s3, l0, l1, l2, l3] = *head;
        if self.sent < u32::from_le_bytes([s0, s1, s2, s3]) {
            return None;
        }
        (self.chunk, self.script) = rest.split_at_checked(u32::from_le_bytes([l0, l1, l2, l3]) as usize)?;
        Some(())
    }
}

impl Board for Replay {
    const MESSAGES: u32 = REPLAYED;

    fn read(&mut self) -> Option<u8> {
        let mut byte = [0];
        self.read_some(&mut byte)?;
        Some(byte[0])
    }

    #[inline(never)]
    fn read_some(&mut self, bytes: &mut [u8]) -> Option<usize> {
        if self.chunk.is_empty() {
            self.next_chunk()?;
        }
        let len = bytes.len().min(self.chunk.len()).min(PORTION);
        let (now, rest) = self.chunk.split_at_checked(len)?;
        bytes.get_mut(..len)?.copy_from_slice(now);
        self.chunk = rest;
        Some(len).filter(|len| *len > 0)
    }

    #[inline(never)]
    fn write(&mut self, _: u8) {
        self.sent += 1;
    }

    #[inline(never)]
    fn show(&mut self, bytes: &[u8]) {
        if bytes == b"alice" {
            let now = ticks();
            if self.shown > 0 {
                self.ticks += self.last.wrapping_sub(now) & SYSTICK_MAX;
            }
            self.last = now;
            self.shown += 1;
        }
        black_box(bytes);
    }

    fn micros(&mut self) -> u64 {
        self.micros += 10;
        self.micros
    }
}

/// The clock, which counts down. QEMU lets as much of its time pass with each instruction.
fn ticks() -> u32 {
    // SAFETY: a register of the processor, and reading it changes nothing.
    unsafe { SYSTICK_VALUE.read_volatile() }
}

/// Ticks of this many instructions.
fn calibrate() -> (u32, u32) {
    const ROUNDS: u32 = 100_000;
    let before = ticks();
    // SAFETY: counts a register down.
    unsafe { asm!("1: subs {0}, #1", "bne 1b", inout(reg) ROUNDS => _) };
    (before.wrapping_sub(ticks()) & SYSTICK_MAX, 2 * ROUNDS)
}

/// Where the stack is.
#[inline(always)]
fn stack_pointer() -> usize {
    let at: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {0}, sp", out(reg) at) };
    at
}

/// Runs a client, and reports.
#[inline(never)]
fn measure(name: &str, script: &'static [u8], run: fn(&mut Replay) -> Option<()>, each: (u32, u32)) {
    let top = stack_pointer();
    let words = (top - 64 - STACK_END_AT) / 4;
    for at in 0..words {
        // SAFETY: below the stack, down to where nothing else is.
        unsafe { STACK_END.add(at).write_volatile(PAINT) };
    }
    let mut board = Replay::new(script);
    let done = run(&mut board);
    // SAFETY: as above.
    let clean = (0..words).take_while(|at| unsafe { STACK_END.add(*at).read_volatile() } == PAINT);
    let used = top - (STACK_END_AT + clean.count() * 4);
    if done.is_none() || board.shown != REPLAYED {
        let _ = writeln!(Host, "{name} has failed: {} messages shown", board.shown);
        exit(1);
    }
    let per_message =
        u64::from(board.ticks) * u64::from(each.1) / u64::from(each.0) / u64::from(REPLAYED - 1);
    let _ = writeln!(Host, "{name}: stack high water = {used}");
    let _ = writeln!(Host, "{name}: instructions a received message = {per_message}");
}

/// Measures everything. `script` is of a hub on a stream.
pub fn run(script: &'static [u8]) -> ! {
    // SAFETY: registers of the processor's clock.
    unsafe {
        SYSTICK_RELOAD.write_volatile(SYSTICK_MAX);
        SYSTICK_VALUE.write_volatile(0);
        SYSTICK_CONTROL.write_volatile(0b101);
    }
    let each = calibrate();
    measure("client, polled, stream", script, polled::on_stream, each);
    measure("client, stream", script, client::on_stream, each);
    let _ = client::sizes(&mut Replay::new(&[]), &mut |name, size| {
        let _ = writeln!(Host, "client, stream: future of {name} = {size}");
    });
    exit(0)
}

/// QEMU's standard output, through semihosting.
struct Host;

impl Write for Host {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            const WRITE_CHARACTER: usize = 3;
            call_host(WRITE_CHARACTER, &raw const byte as usize);
        }
        Ok(())
    }
}

/// Ends QEMU with this status.
pub fn exit(status: usize) -> ! {
    const EXIT_EXTENDED: usize = 0x20;
    const APPLICATION_EXIT: usize = 0x20026;
    let block = [APPLICATION_EXIT, status];
    loop {
        call_host(EXIT_EXTENDED, block.as_ptr() as usize);
    }
}

fn call_host(operation: usize, argument: usize) {
    // SAFETY: QEMU takes the breakpoint for a call; it reads what the argument points to.
    unsafe { asm!("bkpt 0xab", inout("r0") operation => _, in("r1") argument) };
}

unsafe extern "C" {
    fn _start() -> !;
}

/// What the processor reads first: where the stack begins, and the program.
#[repr(C)]
pub struct Vectors(usize, unsafe extern "C" fn() -> !);

/// At address 0.
#[unsafe(link_section = ".vectors")]
#[unsafe(no_mangle)]
pub static VECTORS: Vectors = Vectors(STACK_END_AT + STACK_LEN, _start);
