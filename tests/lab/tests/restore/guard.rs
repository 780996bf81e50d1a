//! What starts a restored copy asks first.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::production::Crashed;
use crate::script::{GUARDED, Said, ended, listing, path, restore};
use crate::server::{Server, run};
use crate::storage::Programs;

/// What the unit's drop-in would run.
fn asked(crashed: &Crashed, unit: &str) -> Option<Said> {
    let file = crashed.folder.path().join(format!("systemd/{unit}.d/pilothouse-restored.conf"));
    let text = fs::read_to_string(file).ok()?;
    let line = text.strip_prefix("[Service]\nExecStartPre=+").unwrap();
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.args(words).env_clear().env("PATH", "/usr/bin:/bin");
    Some(ended(command))
}

#[test]
fn s7_what_was_a_standby_and_lost_its_signal_is_not_started() {
    let crashed = Crashed::new();
    let data = crashed.data.display().to_string();
    let check = |more: &[&str]| restore(&crashed.folder, &[&["--check", &data], more].concat());
    // No copy: nobody's business.
    check(&[]).done();
    check(&["--patroni"]).done();

    let said = restore(&crashed.folder, &crashed.arguments(&["--unit=postgresql@15-main", "--unit=patroni"])).done();
    assert!(said.contains("guard postgresql@15-main.service"), "{said}");
    asked(&crashed, "postgresql@15-main.service").unwrap().done();
    // Patroni would make a primary of it where nobody leads.
    asked(&crashed, "patroni.service").unwrap().refused(GUARDED, "Patroni may promote it");

    let signal = crashed.data.join("standby.signal");
    fs::rename(&signal, crashed.folder.path().join("away")).unwrap();
    asked(&crashed, "postgresql@15-main.service").unwrap().refused(GUARDED, "would start as a primary");
    asked(&crashed, "patroni.service").unwrap().refused(GUARDED, "would start as a primary");
    // It would.
    let server = Server::start(&crashed.data, &crashed.sockets, 5432, &["listen_addresses="]).unwrap();
    assert_eq!(server.sql("SELECT pg_is_in_recovery()").unwrap(), "f");
    drop(server);
    // Its volumes are not mounted: a Patroni would make another database in their place.
    fs::rename(&crashed.data, crashed.folder.path().join("unmounted")).unwrap();
    asked(&crashed, "patroni.service").unwrap().refused(GUARDED, "are its volumes mounted?");
    restore(&crashed.folder, &["--release", &data]).refused(GUARDED, "are its volumes mounted?");
    fs::rename(crashed.folder.path().join("unmounted"), &crashed.data).unwrap();

    // Repeated, it is a standby again.
    restore(&crashed.folder, &crashed.arguments(&[])).done();
    assert!(signal.exists());
    asked(&crashed, "postgresql@15-main.service").unwrap().done();
    // A restore that was cut short has not taken the settings in hand, perhaps.
    let marker = crashed.data.join("pilothouse-restored");
    let complete = fs::read_to_string(&marker).unwrap();
    fs::write(&marker, complete.replace("true", "false")).unwrap();
    asked(&crashed, "postgresql@15-main.service").unwrap().refused(GUARDED, "did not come to its end");
}

#[test]
fn s7_a_release_is_what_lets_a_copy_start_as_a_primary() {
    let crashed = Crashed::new();
    let data = crashed.data.display().to_string();
    restore(&crashed.folder, &crashed.arguments(&["--unit=postgresql", "--unit=patroni", "--port=5433"])).done();
    let before = fs::read_to_string(crashed.data.join("postgresql.auto.conf")).unwrap();
    let said = restore(&crashed.folder, &["--release", &data, "--dry-run"]).done();
    assert!(said.contains("would remove pilothouse-restored"), "{said}");
    assert!(crashed.data.join("pilothouse-restored").exists() && asked(&crashed, "patroni.service").is_some());

    // It stays a standby by that alone, with its settings.
    restore(&crashed.folder, &["--release", &data]).done();
    assert!(crashed.data.join("standby.signal").exists());
    assert_eq!(fs::read_to_string(crashed.data.join("postgresql.auto.conf")).unwrap(), before);
    assert!(asked(&crashed, "patroni.service").is_none() && asked(&crashed, "postgresql.service").is_none());
    let server = Server::start(&crashed.data, &crashed.sockets, 5433, &[]).unwrap();
    assert_eq!(server.sql("SELECT pg_is_in_recovery(), current_setting('archive_mode')").unwrap(), "t|off");
    drop(server);
    // For Patroni nothing may stay: it writes its settings where ours would outrank them.
    restore(&crashed.folder, &["--release", &data, "--settings"]).done();
    let settings = fs::read_to_string(crashed.data.join("postgresql.auto.conf")).unwrap();
    assert!(settings.lines().all(|line| line.starts_with('#') && !line.contains("pilothouse")), "{settings}");
    restore(&crashed.folder, &["--release", &data, "--settings"]).done();
}

#[test]
fn s7_a_guard_outlives_the_place_that_the_script_ran_from() {
    let crashed = Crashed::new();
    let elsewhere = crashed.folder.path().join("downloaded");
    fs::copy(path(), &elsewhere).unwrap();
    let mut command = Command::new("sh");
    command.arg(&elsewhere).args(crashed.arguments(&["--unit=postgresql"])).current_dir("/");
    command.env("PILOTHOUSE_STATE", crashed.folder.path().join("state"));
    command.env("PILOTHOUSE_SYSTEMD", crashed.folder.make("systemd"));
    ended(command).done();
    fs::remove_file(elsewhere).unwrap();
    asked(&crashed, "postgresql.service").unwrap().done();
    // Where there is no systemd it says that nothing guards.
    let mut command = Command::new("sh");
    command.arg(path()).args(crashed.arguments(&[])).current_dir("/");
    command.env("PILOTHOUSE_SYSTEMD", crashed.folder.path().join("nowhere"));
    assert!(ended(command).done().contains("note: no unit is guarded"));
}

#[test]
fn s7_wherever_a_restore_is_killed_nothing_starts_as_a_primary() {
    let crashed = Crashed::new();
    let original = crashed.folder.path().join("original");
    let copy = |from: &Path, to: &Path| {
        let mut cp = Command::new("cp");
        cp.args(["-a", "--no-target-directory"]).args([from, to]);
        run(cp).unwrap();
    };
    fs::write(crashed.data.join("postmaster.pid"), "1\n").unwrap();
    fs::create_dir(crashed.data.join("pg_replslot/of_production")).unwrap();
    // The script does not look at the tables, and without them it goes faster.
    fs::remove_dir_all(crashed.data.join("base")).unwrap();
    copy(&crashed.data, &original);
    let before = listing(&crashed.data);
    let signal = crashed.data.join("standby.signal");

    // Each program that changes something counts its calls with the others, and ends the script at a certain one.
    let programs = Programs::new(&crashed.folder);
    let (count, limit) = (crashed.folder.path().join("count"), crashed.folder.path().join("limit"));
    for program in ["mv", "rm", "cp", "find", "mkdir", "chown", "sync"] {
        let body = format!(
            "n=$(($(cat {0}) + 1)); echo $n >{0}; [ $n != \"$(cat {1})\" ] || {{ kill -KILL $PPID; exit 1; }}; exec /usr/bin/{program} \"$@\"",
            count.display(),
            limit.display()
        );
        programs.put(program, &body);
    }
    let mut killed = 0;
    loop {
        fs::write(&count, "0").unwrap();
        fs::write(&limit, (killed + 1).to_string()).unwrap();
        let output = programs.try_run(&crashed.folder, &crashed.arguments(&["--unit=postgresql"]));
        if output.status.success() {
            break;
        }
        killed += 1;
        let mut after = listing(&crashed.data);
        after.retain(|path, _| path.extension().is_none_or(|extension| extension != "new"));
        let signalled = after.remove(&signal).is_some();
        assert!(signalled || after == before, "{killed}: it has changed something before it wrote standby.signal");
        if let Some(guarded) = asked(&crashed, "postgresql.service").filter(|_| signalled) {
            assert!(guarded.code == 0 || guarded.code == GUARDED, "{killed}: {guarded:?}");
            let whole = !crashed.data.join("postmaster.pid").exists()
                && !crashed.data.join("pg_replslot/of_production").exists();
            assert!(guarded.code == GUARDED || whole, "{killed}: it is let start before it is done");
        }
        // Whoever repeats it gets to the end.
        if killed % 8 == 0 {
            restore(&crashed.folder, &crashed.arguments(&["--unit=postgresql"])).done();
            assert!(signal.exists() && asked(&crashed, "postgresql.service").unwrap().code == 0, "{killed}");
        }
        fs::remove_dir_all(&crashed.data).unwrap();
        copy(&original, &crashed.data);
        let _ = fs::remove_dir_all(crashed.folder.path().join("systemd"));
    }
    assert!(killed > 15, "it was killed in {killed} places");
}
