import CLinux
import Glibc

/// Lets SIGKILL reach the calling process when its parent thread ends; false where the parent is gone already.
func dieWithParent(_ parent: Int32) -> Bool {
  baton_die_with_parent(SIGKILL) == 0 && getppid() == parent
}
