"""The tree test: holds a checkout against the house rules. Usage: check_tree.py [ROOT]

Prints `file:line: rule: what is wrong: what to do` for every finding and fails if there is one.
"""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from tree_rules import Tree, check  # noqa: E402


def files_of(root):
    """What is tracked, or new and not ignored; every file where there is no git (a release archive)."""
    git = ["git", "-c", f"safe.directory={root}", "-C", str(root)]
    try:
        listed = subprocess.run(git + ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                capture_output=True, check=True).stdout.decode()
        paths = [path for path in listed.split("\0") if path]
    except (OSError, subprocess.CalledProcessError):
        paths = [str(path.relative_to(root)) for path in root.rglob("*") if ".git" not in path.parts]
        paths = [path for path in paths if not path.startswith("build/")]
    return [path for path in paths if (root / path).is_file()]


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
    tree = Tree(root, files_of(root))
    if not tree.layers:
        sys.exit(f"{root}/CMakeLists.txt names no penstock_module: nothing to check")
    findings = check(tree)
    for finding in findings:
        print(finding)
    print(f"{len(tree.paths)} files, {len(findings)} findings")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
