//! To whom new files belong: to whom the directory belongs, whoever makes them.
//!
//! Otherwise what an administrator does once as root would lock the terminal's user out.

use std::{io, os::fd::AsFd};

use rustix::{
    fs::{Gid, Mode as Permissions, Stat, Uid},
    process::geteuid,
};

/// The owner of a directory, and what group and others may do there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    /// The user.
    uid: u32,
    /// The group.
    gid: u32,
    /// Permission bits of the directory.
    mode: u32,
}

/// Write permission of the group.
const GROUP_WRITES: u32 = 0o020;
/// Write permission of everybody.
const OTHERS_WRITE: u32 = 0o002;

impl Owner {
    /// The owner of the directory that `stat` is of.
    pub(super) fn of(stat: &Stat) -> Self {
        Self { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode & 0o7777 }
    }

    /// Permission bits of the directory.
    pub(super) fn mode(self) -> u32 {
        self.mode
    }

    /// Whether everybody may write to the directory.
    pub(super) fn is_open_to_all(self) -> bool {
        self.mode & OTHERS_WRITE != 0
    }

    /// Whether its owner, whom we are, is the only one who may write to it.
    pub(super) fn is_only_us(self) -> bool {
        self.uid == geteuid().as_raw() && self.mode & (GROUP_WRITES | OTHERS_WRITE) == 0
    }

    /// Permissions of files: for the owner, and for the group where it may write to the directory.
    pub(super) fn of_files(self) -> Permissions {
        let own = Permissions::RUSR | Permissions::WUSR;
        if self.mode & GROUP_WRITES == 0 {
            own
        } else {
            own | Permissions::RGRP | Permissions::WGRP
        }
    }

    /// Permissions of directories likewise.
    pub(super) fn of_directories(self) -> Permissions {
        if self.mode & GROUP_WRITES == 0 {
            Permissions::RWXU
        } else {
            Permissions::RWXU | Permissions::RWXG
        }
    }

    /// Gives the owner what we just created at `file`, with these permissions, whatever the umask says.
    ///
    /// # Errors
    ///
    /// `PermissionDenied`: we may not give it away, and its owner could not use it.
    pub(super) fn give(self, file: impl AsFd, permissions: Permissions) -> io::Result<()> {
        let is_for_group = permissions.contains(Permissions::WGRP);
        // While it is ours for certain.
        rustix::fs::fchmod(&file, permissions)?;
        let made = rustix::fs::fstat(&file)?;
        let gid = (made.st_gid != self.gid).then(|| Gid::from_raw(self.gid));
        if made.st_uid != self.uid {
            let given = rustix::fs::fchown(&file, Some(Uid::from_raw(self.uid)), gid);
            // A member of the group, who may not give anything away, shares it.
            if given.is_err() && !is_for_group {
                return Err(self.locked_out());
            }
        }
        if gid.is_some() {
            let given = rustix::fs::fchown(&file, None, gid);
            if given.is_err() && is_for_group {
                return Err(self.locked_out());
            }
        }
        Ok(())
    }

    /// The refusal to leave what the owner of the directory could not use.
    fn locked_out(self) -> io::Error {
        let Self { uid, gid, .. } = self;
        let text = format!(
            "the directory belongs to user {uid}, group {gid}, to whom this process (user {}) cannot \
             give the files it makes: run it as that user",
            geteuid().as_raw()
        );
        io::Error::new(io::ErrorKind::PermissionDenied, text)
    }
}
