//! The inmate's view of files: a read-only root with workerd and its libraries, and a private tmpfs.

use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::spec::{Bind, INSIDE, SPACE};
use super::{JailError, Step};

const NONE: Option<&str> = None;

/// Makes `skeleton` the root, with `binds` in it and nothing else.
pub fn enter(skeleton: &Path, binds: &[Bind], space: u64) -> Result<(), JailError> {
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).step("keep mounts private")?;
    mount(Some(skeleton), skeleton, NONE, MsFlags::MS_BIND, NONE).step("bind the root")?;
    for bind in binds {
        let target = skeleton.join(&bind.to);
        mount(Some(&bind.from), &target, NONE, MsFlags::MS_BIND, NONE).step("bind a file")?;
        if bind.writable {
            let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            mount(NONE, &target, NONE, flags | kept(&target).step("read a folder's flags")?, NONE).step("make a folder harmless")?;
        } else {
            read_only(&target, bind.device).step("make a file read-only")?;
        }
    }
    let options = format!("size={space},nr_inodes=4096,mode=0700,uid={INSIDE},gid={INSIDE}");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), &skeleton.join(SPACE), Some("tmpfs"), flags, Some(options.as_str())).step("mount the private space")?;
    read_only(skeleton, false).step("make the root read-only")?;
    forbid_namespaces();
    std::env::set_current_dir(skeleton).step("enter the root")?;
    nix::unistd::pivot_root(".", ".").step("change the root")?;
    umount2(".", MntFlags::MNT_DETACH).step("let go of the old root")?;
    std::env::set_current_dir("/").step("enter the new root")
}

/// Remounts a bind read-only. The flags of the mount it came from are locked and have to be repeated.
fn read_only(target: &Path, device: bool) -> nix::Result<()> {
    let held = statvfs(target)?.flags();
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID;
    if !device || held.contains(FsFlags::ST_NODEV) {
        flags |= MsFlags::MS_NODEV;
    }
    flags |= kept(target)?;
    mount(NONE, target, NONE, flags, NONE)
}

/// The flags that a mount has from where it came, and that nobody without rights there may take away.
fn kept(target: &Path) -> nix::Result<MsFlags> {
    let held = statvfs(target)?.flags();
    let mut flags = MsFlags::empty();
    for (is, flag) in [
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ] {
        if held.contains(is) {
            flags |= flag;
        }
    }
    Ok(flags)
}

/// No namespaces below this one, where the kernel lets us say so. A second wall: without capabilities a further user namespace
/// gives the inmate nothing but more kernel to attack.
fn forbid_namespaces() {
    let _ = std::fs::write("/proc/sys/user/max_user_namespaces", "0");
}
