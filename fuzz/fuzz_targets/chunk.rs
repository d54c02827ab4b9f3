#![no_main]

/// What reading takes at most for each byte of its input, and besides: bytes in a store must not be able to make a
/// node allocate without bound.
const MEMORY_A_BYTE: u64 = 64;
const MEMORY_BESIDES: u64 = 4096;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let memory = allocation_counter::measure(|| tower_resume::fuzz::read_chunk(data));
    let most = MEMORY_BESIDES + MEMORY_A_BYTE * data.len() as u64;
    assert!(memory.bytes_max <= most, "{} bytes took {} of memory", data.len(), memory.bytes_max);
    tower_resume::fuzz::chunk(data);
});
