"""Whatever git a person has: hashes, hooks, habits, worktrees, owners. What is not supported says so first."""

import os
import subprocess
from pathlib import Path

import pytest
from house import House

HOOKS = ("post-checkout", "reference-transaction", "post-index-change", "pre-commit", "post-commit", "post-rewrite")
HABITS = """\
[color]
    ui = always
[diff]
    noprefix = true
    external = false
[log]
    showSignature = true
[commit]
    gpgSign = true
[submodule]
    recurse = true
[i18n]
    commitEncoding = ISO-8859-1
[user]
    useConfigOnly = true
[committer]
    name = me
    email = me@localhost
"""


def begun_anew(house: House, *options: str) -> None:
    """Its files, in a repository that was made otherwise."""
    subprocess.run(["rm", "-rf", house.tree / ".git"], check=True)
    house.git("init", "--quiet", "--initial-branch=main", *options)
    house.commit("start")


def works(house: House, **settings: str) -> None:
    """A run from set-up to a keep, with the verbs that ask git for what it has done."""
    house.setup(**settings)
    assert house.loop(1, house.setting("0.9"), **settings).status == 0
    assert house.statuses() == ["keep", "keep"]
    shown = house.call("bin/show", N="2", **settings)
    assert "\n+VALUE = 0.9" in shown.out
    assert house.git("rev-parse", "autoresearch/mar14") == house.experiments()[1]["commit"]


# --- Hashes and histories ---


def test_the_environment_says_nothing_of_our_repositories(house: House) -> None:
    works(house, GIT_DEFAULT_HASH="sha256", GIT_LITERAL_PATHSPECS="1", GIT_EXTERNAL_DIFF="false")


def test_a_repository_of_sha_256(house: House) -> None:
    begun_anew(house, "--object-format=sha256")
    works(house)
    commits = [str(one["commit"]) for one in house.experiments()]
    assert {len(commit) for commit in commits} == {64}
    assert house.call("bin/validate").status == 0


def test_a_shallow_clone(house: House) -> None:
    """The proposer's copy has a history that ends where the clone's does."""
    for n in range(3):
        house.git("commit", "--quiet", "--allow-empty", "--message", f"{n}")
    whole = house.tree.rename(house.outside / "whole")
    house.call_in(house.outside, "git", "clone", "--quiet", "--depth=1", f"file://{whole}", str(house.tree))
    house.setup()
    agent = house.proposer("git log --oneline >&2 || exit 1; sed -i 's/^VALUE = [^ ]*/VALUE = 0.9/' train.py; echo x")
    assert house.loop(1, agent).status == 0
    assert house.statuses() == ["keep", "keep"]


# --- Hooks, monitors and habits ---


def test_no_hook_and_no_monitor_ever_runs(house: House) -> None:
    folder = house.outside / "hooks"
    folder.mkdir()
    mark = house.outside / "has-run"
    for name in (*HOOKS, "monitor"):
        (folder / name).write_text(f"#!/bin/sh\necho {name} >>'{mark}'\nexit 2\n")
        (folder / name).chmod(0o755)
    config = f'[core]\n\tfsmonitor = "{folder}/monitor"\n\thooksPath = "{folder}"\n'
    (house.outside / "home/.gitconfig").write_text(config)
    house.setup()
    assert house.loop(1, house.setting("0.9")).status == 0
    assert not mark.exists(), mark.read_text()
    assert house.statuses() == ["keep", "keep"]


def test_a_persons_habits_change_nothing(house: House) -> None:
    (house.outside / "home/.gitconfig").write_text(HABITS)
    works(house)


# --- Where the tree lies ---


def test_a_folder_of_a_larger_repository_is_refused_and_the_hint_helps(house: House) -> None:
    top = house.outside
    subprocess.run(["rm", "-rf", house.tree / ".git"], check=True)
    house.call_in(top, "git", "init", "--quiet")
    house.call_in(top, "bash", "-c", "git add tree && git -c user.name=me -c user.email=me@x commit -qm all")
    before = house.call_in(top, "git", "for-each-ref").out
    for verb in ("setup", "status", "demo"):
        result = house.call(f"bin/{verb}", TAG="mar14")
        assert result.status == 2
        assert f"{verb}: a run needs its own git repository" in result.err
    assert house.call_in(top, "git", "for-each-ref").out == before
    assert not (house.tree / "runs").exists()
    follow_hint(house, result.err)
    works(house)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a tree away")
@pytest.mark.parametrize("verb", ["setup", "status"])
def test_a_tree_of_another_user_is_refused_in_gits_words(run: House, verb: str) -> None:
    subprocess.run(["chown", "-R", "12345:12345", run.tree], check=True)
    result = run.call(f"bin/{verb}", TAG="mar15" if verb == "setup" else "mar14")
    assert result.status == 2
    assert "dubious ownership" in result.err
    assert "not a git repository" not in result.err
    follow_hint(run, result.err)
    assert run.call(f"bin/{verb}", TAG="mar15" if verb == "setup" else "mar14").status == 0


def test_a_worktree_whose_repository_was_moved_says_so(house: House) -> None:
    other = house.outside / "other"
    house.git("worktree", "add", "--quiet", str(other), "-b", "other")
    moved = house.tree.rename(house.outside / "moved")
    house.tree = other
    result = house.call("bin/setup", TAG="mar14")
    assert result.status == 2
    assert "was moved or deleted" in result.err
    hint = result.err.splitlines()[-1].split(": ", 2)[2]
    assert house.call_in(moved, "bash", "-c", hint).status == 0
    assert house.call("bin/setup", TAG="mar14").status == 0


def test_a_new_worktree_has_no_submodules_yet(house: House) -> None:
    part = house.outside / "part"
    part.mkdir()
    commit = (
        "git init -q && echo 'VALUE = 0.7' >part.py && git add . && git -c user.name=m -c user.email=m@x commit -qm x"
    )
    house.call_in(part, "bash", "-c", commit)
    (house.outside / "home/.gitconfig").write_text('[protocol "file"]\n\tallow = always\n')
    house.git("submodule", "add", "--quiet", str(part), "part")
    (house.tree / "train.py").write_text("from part.part import VALUE\nprint(f'val_bpb: {VALUE}')\n")
    house.commit("a submodule")
    other = house.outside / "other"
    house.git("worktree", "add", "--quiet", str(other), "-b", "other")
    house.tree = other
    result = house.call("bin/setup", TAG="mar14")
    assert result.status == 2
    assert "submodule 'part' is not checked out" in result.err
    assert not (other / "runs").exists()
    follow_hint(house, result.err)
    house.setup()
    house.baseline()
    assert house.rows()[0][1] == "0.700000"


def follow_hint(house: House, said: str) -> None:
    hint = said.splitlines()[-1]
    assert hint.startswith("hint: "), said
    command = hint.removeprefix("hint: ").split(": ", 1)[-1]
    identity = "export GIT_AUTHOR_NAME=m GIT_AUTHOR_EMAIL=m@x GIT_COMMITTER_NAME=m GIT_COMMITTER_EMAIL=m@x; "
    assert house.call("bash", "-c", identity + command).status == 0


# --- Locks ---


def test_the_lock_of_a_living_git_in_another_worktree_is_waited_for(based: House) -> None:
    other = based.outside / "other"
    based.git("worktree", "add", "--quiet", str(other), "-b", "other")
    based.git("update-ref", "refs/x", "HEAD")
    based.git("pack-refs", "--all")
    lock = based.tree / ".git/packed-refs.lock"
    with subprocess.Popen(["git", "update-ref", "--stdin"], cwd=other, stdin=subprocess.PIPE) as holder:
        assert holder.stdin
        holder.stdin.write(b"start\ndelete refs/x\nprepare\n")
        holder.stdin.flush()
        based.wait_for(".git/packed-refs.lock")
        assert based.once(based.setting("0.9")).status == 0
        assert lock.exists()
        holder.stdin.write(b"commit\n")
        holder.stdin.close()
        assert holder.wait(20) == 0
    assert based.statuses() == ["keep", "keep"]


@pytest.mark.parametrize(
    "left", ["packed-refs.lock packed-refs.new refs/heads/autoresearch/mar14.lock HEAD.lock", "packed-refs.new"]
)
def test_what_a_killed_git_leaves_is_cleared_away(based: House, left: str) -> None:
    for name in left.split():
        (based.tree / ".git" / name).write_text("")
    assert based.once(based.setting("0.9")).status == 0
    assert not [name for name in left.split() if (based.tree / ".git" / name).exists()]
    based.git("update-ref", "refs/y", "HEAD")
    based.git("pack-refs", "--all")
    based.git("update-ref", "-d", "refs/y")


def test_the_lock_of_a_worktree_is_its_own(based: House) -> None:
    """`.git` is a file there, and the lock lies in the folder that it names."""
    other = based.outside / "other"
    based.git("checkout", "--quiet", "main")
    based.git("worktree", "add", "--quiet", str(other), "autoresearch/mar14")
    subprocess.run(["cp", "-a", based.tree / "runs", other], check=True)
    lock = Path(based.git("-C", str(other), "rev-parse", "--absolute-git-dir")) / "index.lock"
    lock.write_text("")
    based.tree = other
    assert based.once(based.setting("0.9")).status == 0
    assert not lock.exists()
    assert based.git("status", "--porcelain", "--untracked-files=no") == ""
