// The rules of holding back, as tables over an invented clock.
import SystemPackage
import Testing

@testable import HotLinkWatch

@Suite struct PendingChangesTests {
  private func at(_ milliseconds: Int64) -> Moment {
    Moment(nanoseconds: 1_000_000_000) + .milliseconds(milliseconds)
  }

  @Test func `Nothing is due while nothing happened`() {
    let pending = PendingChanges(settle: .zero)
    #expect(pending.nextWake == nil)
    #expect(!pending.isDue(at: at(0)))
  }

  @Test func `A close is due at once, with settle later`() {
    for settle in [0, 40] as [Int64] {
      var pending = PendingChanges(settle: .milliseconds(settle))
      pending.closed("x.o", at: at(5))
      #expect(pending.nextWake == at(5 + settle))
      #expect(pending.isDue(at: at(5 + settle)))
      #expect(settle == 0 || !pending.isDue(at: at(4 + settle)))
    }
  }

  @Test func `An unclosed file is looked at, and taken when its size is stable`() {
    var pending = PendingChanges(settle: .zero)
    pending.opened("x.o", at: at(0))
    #expect(pending.nextWake == at(100))
    pending.settleQuietFiles(at: at(100)) { _ in 7 }
    #expect(pending.nextWake == at(200))
    pending.settleQuietFiles(at: at(200)) { _ in 9 }  // it grew
    #expect(!pending.isDue(at: at(200)))
    #expect(pending.nextWake == at(400))
    pending.settleQuietFiles(at: at(400)) { _ in 9 }
    #expect(pending.isDue(at: at(400)))
    #expect(pending.take(at: at(400)).written == ["x.o"])
    #expect(pending.nextWake == nil)
  }

  @Test func `Two looks at a size are never at the same time`() {
    var pending = PendingChanges(settle: .zero)
    pending.opened("x.o", at: at(0))
    pending.settleQuietFiles(at: at(3000)) { _ in 7 }  // the thread was held up
    pending.settleQuietFiles(at: at(3000)) { _ in 7 }
    #expect(!pending.isDue(at: at(3000)))
    #expect(pending.nextWake == at(3100))
  }

  @Test func `An empty file waits for its close, unless that may have been missed`() {
    for mayBeClosed in [false, true] {
      var pending = PendingChanges(settle: .zero)
      pending.opened("x.o", at: at(0), size: 0, mayBeClosed: mayBeClosed)
      pending.settleQuietFiles(at: at(200)) { _ in 0 }
      #expect(pending.isDue(at: at(200)) == mayBeClosed)
      #expect(mayBeClosed || pending.nextWake == nil)
      pending.closed("y.o", at: at(300))
      #expect(pending.isDue(at: at(300)) == mayBeClosed)
      #expect(pending.isDue(at: at(5300)))
      pending.wantComplete(at: at(400))  // events were lost, among them perhaps its close
      pending.settleQuietFiles(at: at(401)) { _ in 0 }
      #expect(pending.isDue(at: at(401)))
    }
  }

  @Test func `A file that vanished while it was being written is dropped`() {
    var pending = PendingChanges(settle: .zero)
    pending.opened("x.o", at: at(0))
    pending.settleQuietFiles(at: at(200)) { _ in nil }
    #expect(pending.nextWake == nil)
  }

  @Test func `Writers hold back for five seconds, counted from what waits`() {
    var pending = PendingChanges(settle: .zero)
    pending.opened("w.o", at: at(0))
    pending.closed("x.o", at: at(1000))
    for time in stride(from: Int64(0), to: 6000, by: 50) { pending.opened("w.o", at: at(time)) }
    #expect(!pending.isDue(at: at(5999)))
    #expect(pending.isDue(at: at(6000)))
    #expect(pending.isOverdue(at: at(6000)))
    #expect(pending.take(at: at(6000)).written == ["x.o"])
    pending.opened("w.o", at: at(6001))
    pending.closed("y.o", at: at(6002))
    #expect(pending.isDue(at: at(6002)))
  }

  @Test func `A dropped file leaves no time behind`() {
    var pending = PendingChanges(settle: .zero)
    pending.closed("t.o", at: at(0))
    pending.forget("t.o")
    #expect(pending.noticedAt == nil)
    pending.opened("w.o", at: at(60_000))
    pending.closed("x.o", at: at(60_001))
    #expect(!pending.isDue(at: at(60_100)))
  }

  @Test func `A deletion waits for the file to come back`() {
    var pending = PendingChanges(settle: .zero)
    pending.vanished("x.o", at: at(0), grace: PendingChanges.removalGrace)
    #expect(pending.nextWake == at(100))
    pending.opened("x.o", at: at(1))
    pending.closed("x.o", at: at(2))
    #expect(pending.isDue(at: at(2)))
    let (written, removed) = pending.take(at: at(2))
    #expect(written == ["x.o"] && removed.isEmpty)
    pending.vanished("x.o", at: at(300), grace: PendingChanges.removalGrace)
    #expect(!pending.isDue(at: at(399)))
    #expect(pending.take(at: at(400)).removed == ["x.o"])
  }

  @Test func `The earliest close is the batch's time, the last write its place`() {
    var pending = PendingChanges(settle: .milliseconds(10))
    pending.opened("a.o", at: at(1))
    pending.closed("a.o", at: at(2))
    pending.closed("b.o", at: at(3))
    pending.opened("a.o", at: at(4))
    pending.closed("a.o", at: at(5))
    #expect(pending.noticedAt == at(2))
    #expect(pending.take(at: at(15)).written == ["b.o", "a.o"])
    #expect(pending.noticedAt == nil)
  }

  @Test(arguments: [
    ("x.o", true), ("x.a", true), ("x.y.o", true), (".x.o", true), (".o", false), ("o", false),
    ("x.O", false), ("x.o.tmp", false), ("x.", false), ("x.oo", false), ("", false),
  ])
  func `Names are chosen by their last extension`(name: String, isChosen: Bool) {
    #expect(NameFilter(["o", ".a"]).accepts(Array(name.utf8)) == isChosen)
  }

  @Test(arguments: [
    (Duration.zero, CInt(0)), (.nanoseconds(1), 1), (.milliseconds(2), 2), (.seconds(-1), 0),
    (.seconds(Int64.max), CInt.max),
  ])
  func `Times become time-outs that are not too short`(span: Duration, timeout: CInt) {
    #expect((at(0) + span).timeout(from: at(0)) == timeout)
  }
}
