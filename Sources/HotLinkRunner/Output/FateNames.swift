// The name of each fate of a variable, as `--json` and `explain` write it.
import HotLink

extension Reporter {
  static func name(of fate: Verdict.Fate) -> String {
    switch fate {
    case .kept: "kept"
    case .keptOverEdit: "kept_over_edit"
    case .reinitialised: "reinitialised"
    case .grown: "grown"
    case .shrunk: "shrunk"
    case .added: "added"
    case .removed: "removed"
    case .rewritten: "rewritten"
    case .moved: "moved"
    case .initialiserNotRun: "initialiser_not_run"
    case .initialised: "initialised"
    case .reset: "reset"
    case .migrated: "migrated"
    case .migratedByHook: "migrated_by_hook"
    case .overwritten: "overwritten"
    case .movedWithValue: "moved_with_value"
    }
  }
}
