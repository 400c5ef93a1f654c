// State over a hundred reloads. What becomes of each kind of variable over a few is in Tests/Scenarios/state,
// constants and initialisers.
import Testing

@Suite("State continues")
struct StateScenarios {
  @Test("A literal in a heap object stays readable over 100 reloads", arguments: Toolchain.few)
  func literals(_ toolchain: Toolchain) throws {
    func source(_ version: Int) -> String {
      // Lengths differ, so that literals move; the copy tells whether what the pointer shows is whole.
      let text = "message \(version) " + String(repeating: "x", count: version * 7 % 90)
      return """
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        struct node { const char *text; char *copy; struct node *next; };
        struct node *all;
        int seen;
        void tick(void) {
          if (seen < \(version)) {
            struct node *one = malloc(sizeof *one);
            one->text = "\(text)";
            one->copy = strdup(one->text);
            one->next = all;
            all = one;
            seen = \(version);
          }
          int bad = 0, count = 0;
          for (struct node *each = all; each; each = each->next, count++)
            if (strcmp(each->text, each->copy)) bad++;
          dprintf(1, "v=\(version) count=%d bad=%d last=%zu\\n", count, bad, strlen(all->text));
        }
        """
    }
    let game = try WatchHarness(["game.c": source(1)], toolchain)
    try game.line("v")  // the first version makes its node, too
    for version in 2...101 {
      try game.edit("game.c", source(version))
      let line = try game.line("v")
      guard line["v"] == "\(version)", line["count"] == "\(version)", line["bad"] == "0" else {
        Issue.record("after \(version - 1) reloads: \(line)")
        break
      }
    }
    try game.stop()
  }
}
