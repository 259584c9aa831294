//! cow/cow.h bound by hand: what this example needs, declaration by declaration, and safe types over it.
use std::ffi::{c_void, CStr};
use std::os::raw::{c_char, c_int};
use std::ptr;

macro_rules! handles { ($($name:ident),*) => { $(#[repr(C)] pub struct $name { _opaque: [u8; 0] })* } }
handles!(CowArena, CowSnapshot, CowView);

extern "C" {
    fn cow_last_error() -> *const c_char;
    fn cow_arena_open(options: *const c_void, arena: *mut *mut CowArena) -> c_int;
    fn cow_arena_close(arena: *mut CowArena);
    fn cow_arena_data(arena: *const CowArena) -> *mut c_void;
    fn cow_arena_capacity(arena: *const CowArena) -> usize;
    fn cow_arena_snapshot(arena: *mut CowArena, snapshot: *mut *mut CowSnapshot) -> c_int;
    fn cow_arena_rollback(arena: *mut CowArena, snapshot: *const CowSnapshot) -> c_int;
    fn cow_snapshot_clone(snapshot: *const CowSnapshot, clone: *mut *mut CowArena) -> c_int;
    fn cow_snapshot_view(snapshot: *const CowSnapshot, view: *mut *mut CowView) -> c_int;
    fn cow_snapshot_release(snapshot: *mut CowSnapshot);
    fn cow_view_data(view: *const CowView) -> *const c_void;
    fn cow_view_size(view: *const CowView) -> usize;
    fn cow_view_close(view: *mut CowView);
}

#[derive(Debug)]
pub struct Error {
    pub errno: i32,
    pub text: String,
}
pub type Result<T> = std::result::Result<T, Error>;

fn checked(code: c_int) -> Result<()> {
    if code >= 0 {
        return Ok(());
    }
    let text = unsafe { CStr::from_ptr(cow_last_error()) }.to_string_lossy().into_owned();
    Err(Error { errno: -code, text })
}

/// What `call` puts into the place that it is given.
fn opened<T>(call: impl FnOnce(*mut *mut T) -> c_int) -> Result<*mut T> {
    let mut handle = ptr::null_mut();
    checked(call(&mut handle))?;
    Ok(handle)
}

/// Memory that can be snapshotted, rolled back and cloned.
pub struct Arena(*mut CowArena);
/// The content that an arena had at one moment.
pub struct Snapshot(*mut CowSnapshot);
/// A read-only mapping of a snapshot.
pub struct View(*mut CowView);

// The library's calls may come from any thread; who holds the bytes is Rust's business.
unsafe impl Send for Arena {}
unsafe impl Send for Snapshot {}
unsafe impl Sync for Snapshot {}
unsafe impl Send for View {}
unsafe impl Sync for View {}

impl Arena {
    pub fn new() -> Result<Arena> {
        opened(|place| unsafe { cow_arena_open(ptr::null(), place) }).map(Arena)
    }
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        opened(|place| unsafe { cow_arena_snapshot(self.0, place) }).map(Snapshot)
    }
    pub fn rollback(&mut self, snapshot: &Snapshot) -> Result<()> {
        checked(unsafe { cow_arena_rollback(self.0, snapshot.0) })
    }
    /// While it is borrowed nobody can snapshot or roll back: no write is cut in half.
    pub fn bytes(&mut self) -> &mut [u8] {
        unsafe { std::slice::from_raw_parts_mut(cow_arena_data(self.0).cast(), cow_arena_capacity(self.0)) }
    }
}

impl Snapshot {
    pub fn clone_arena(&self) -> Result<Arena> {
        opened(|place| unsafe { cow_snapshot_clone(self.0, place) }).map(Arena)
    }
    pub fn view(&self) -> Result<View> {
        opened(|place| unsafe { cow_snapshot_view(self.0, place) }).map(View)
    }
}

impl View {
    pub fn bytes(&self) -> &[u8] {
        unsafe { std::slice::from_raw_parts(cow_view_data(self.0).cast(), cow_view_size(self.0)) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) { unsafe { cow_arena_close(self.0) } }
}
impl Drop for Snapshot {
    fn drop(&mut self) { unsafe { cow_snapshot_release(self.0) } }
}
impl Drop for View {
    fn drop(&mut self) { unsafe { cow_view_close(self.0) } }
}
