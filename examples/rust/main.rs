//! Two futures of one arena in two threads, a view of the old, and the way back; an error, as Rust has it.
mod cow;

use cow::{Arena, Result};

fn futures() -> Result<()> {
    let mut arena = Arena::new()?;
    arena.bytes()[..5].copy_from_slice(b"today");
    let today = arena.snapshot()?;

    let threads: Vec<_> = ["rainy", "sunny"]
        .map(|weather| {
            let mut world = today.clone_arena().expect("a clone");
            std::thread::spawn(move || {
                assert_eq!(&world.bytes()[..5], b"today");
                world.bytes()[..5].copy_from_slice(weather.as_bytes());
                String::from_utf8_lossy(&world.bytes()[..5]).into_owned()
            })
        })
        .into();
    for thread in threads {
        println!("a future: {}", thread.join().expect("a future"));
    }

    arena.bytes()[..5].copy_from_slice(b"later");
    let old = today.view()?;
    println!("now {}, then {}", text(arena.bytes()), text(old.bytes()));
    arena.rollback(&today)?;
    println!("again {}", text(arena.bytes()));
    assert_eq!(text(arena.bytes()), "today");

    let mut another = Arena::new()?;
    let refused = another.rollback(&today).expect_err("a snapshot of another arena");
    assert_eq!(refused.errno, 22);
    println!("refused: {}", refused.text);
    Ok(())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(&bytes[..5]).expect("text")
}

fn main() {
    futures().unwrap_or_else(|error| panic!("{}", error.text));
}
