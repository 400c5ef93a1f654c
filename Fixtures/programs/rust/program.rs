// Rust with std: collections, traits, threads, channels, thread-locals, panics caught and not, every way to end.
// run: 3 words
// run: panic
// run: thread-panic
// run: exit
// run: error
// run: abort
// run: double
// run: overflow
// input: alpha\nbeta 12\n
// environment: HOTLINK_PROGRAM=told
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::panic;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Condvar, Mutex, Once, OnceLock, RwLock};
use std::thread;

struct Noise(&'static str);
impl Drop for Noise {
    fn drop(&mut self) {
        println!("-{}{}", self.0, if thread::panicking() { " while panicking" } else { "" });
    }
}

static TOTAL: AtomicUsize = AtomicUsize::new(0);
static NAMES: OnceLock<Vec<String>> = OnceLock::new();
static START: Once = Once::new();
static TABLE: Mutex<Vec<u32>> = Mutex::new(Vec::new());

struct PerThread(Cell<usize>);
impl Drop for PerThread {
    fn drop(&mut self) {
        TOTAL.fetch_add(self.0.get(), Ordering::SeqCst);
    }
}
thread_local! {
    static COUNTER: PerThread = PerThread(Cell::new(0));
    static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

trait Shape {
    fn area(&self) -> f64;
    fn name(&self) -> String {
        String::from("shape")
    }
}
#[derive(Debug, Clone, PartialEq)]
struct Circle(f64);
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Small,
    Large { size: u32 },
}
impl Shape for Circle {
    fn area(&self) -> f64 {
        self.0 * self.0 * 3.0
    }
    fn name(&self) -> String {
        format!("{:?}", self)
    }
}
impl Shape for Kind {
    fn area(&self) -> f64 {
        match self {
            Kind::Small => 1.0,
            Kind::Large { size } => f64::from(*size),
        }
    }
}

#[derive(Debug)]
enum Failure {
    Parse(std::num::ParseIntError),
    Other(String),
}
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Parse(e) => write!(f, "parse: {e}"),
            Failure::Other(s) => write!(f, "other: {s}"),
        }
    }
}
impl std::error::Error for Failure {}
impl From<std::num::ParseIntError> for Failure {
    fn from(e: std::num::ParseIntError) -> Self {
        Failure::Parse(e)
    }
}
fn parse(text: &str) -> Result<i64, Failure> {
    let value: i64 = text.trim().parse()?;
    if value < 0 { Err(Failure::Other(format!("negative {value}"))) } else { Ok(value) }
}

#[derive(Default)]
struct Node {
    value: i32,
    parent: RefCell<Weak<Node>>,
    children: RefCell<Vec<Rc<Node>>>,
}

#[inline(never)]
fn deep(n: u32) -> u32 {
    let _noise = Noise("frame");
    if n == 0 { panic!("at the bottom") }
    deep(n - 1) + 1
}

fn describe(value: &dyn Any) -> String {
    if let Some(s) = value.downcast_ref::<&str>() { format!("str {s}") }
    else if let Some(s) = value.downcast_ref::<String>() { format!("String {s}") }
    else if let Some(n) = value.downcast_ref::<i32>() { format!("i32 {n}") }
    else { "something".into() }
}

fn threads() {
    let (sender, receiver) = mpsc::channel();
    let shared = Arc::new((Mutex::new(0), Condvar::new(), RwLock::new(String::new())));
    let handles: Vec<_> = (0..6usize)
        .map(|i| {
            let sender = sender.clone();
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(format!("worker {i}")).spawn(move || {
                START.call_once(|| { TABLE.lock().unwrap().push(99); });
                COUNTER.with(|c| c.0.set(c.0.get() + i));
                let mut turn = shared.0.lock().unwrap();
                while *turn != i { turn = shared.1.wait(turn).unwrap(); }
                *turn += 1;
                shared.1.notify_all();
                shared.2.write().unwrap().push_str(thread::current().name().unwrap_or("?"));
                sender.send(i * i).unwrap();
                i
            }).unwrap()
        })
        .collect();
    drop(sender);
    let joined: usize = handles.into_iter().map(|h| h.join().unwrap()).sum();
    println!("{joined} {} {}", receiver.iter().sum::<usize>(), shared.2.read().unwrap());
    println!("{} {:?}", TOTAL.load(Ordering::SeqCst), TABLE.lock().unwrap());
    let mut values = vec![1u64; 1000];
    thread::scope(|scope| {
        for part in values.chunks_mut(250) {
            scope.spawn(move || for (i, v) in part.iter_mut().enumerate() { *v += i as u64; });
        }
    });
    println!("{}", values.iter().sum::<u64>());
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    println!("{:?} {:?}", arguments, std::env::var("HOTLINK_PROGRAM"));
    let mode = arguments.first().map(String::as_str).unwrap_or("");
    let _end = Noise("end of main");
    match mode {
        "panic" => { deep(2); }
        "thread-panic" => {
            let result = thread::spawn(|| deep(1)).join();
            println!("{}", describe(&*result.unwrap_err()));
            return Ok(());
        }
        "exit" => { let _lost = Noise("lost"); std::process::exit(17) }
        "error" => { parse("12x")?; }
        "abort" => std::process::abort(),
        "double" => {
            struct Bad;
            impl Drop for Bad { fn drop(&mut self) { panic!("in drop") } }
            let _bad = Bad;
            panic!("first");
        }
        "overflow" => { let n = arguments.len() as u8; let list = [1, 2, 3]; println!("{}", list[n as usize + 6]); }
        _ => {}
    }
    let mut lines = Vec::new();
    let mut first = String::new();
    io::stdin().lock().read_line(&mut first).unwrap();
    io::stdin().read_to_string(&mut first).unwrap();
    for line in first.lines() { lines.push(line.to_owned()); }
    println!("{lines:?}");

    let mut map: HashMap<String, Vec<usize>> = HashMap::new();
    for (i, word) in "the quick brown fox jumps over the lazy dog the end".split(' ').enumerate() {
        map.entry(word.to_string()).or_default().push(i);
    }
    let sorted: BTreeMap<_, _> = map.iter().collect();
    println!("{:?}", sorted);
    let set: HashSet<i32> = (0..50).map(|x| x * x % 17).collect();
    let mut heap: BinaryHeap<_> = set.iter().copied().collect();
    let mut queue: VecDeque<i32> = VecDeque::new();
    while let Some(top) = heap.pop() { if top % 2 == 0 { queue.push_front(top) } else { queue.push_back(top) } }
    println!("{queue:?}");

    let shapes: Vec<Box<dyn Shape>> = vec![Box::new(Circle(2.0)), Box::new(Kind::Small), Box::new(Kind::Large { size: 9 })];
    println!("{:.3} {}", shapes.iter().map(|s| s.area()).sum::<f64>(), shapes[0].name());
    println!("{:?} {}", [Kind::Large { size: 1 }, Kind::Small].iter().min(), i128::MAX / 12345678901234567890);
    let root = Rc::new(Node { value: 1, ..Default::default() });
    for i in 2..5 {
        let child = Rc::new(Node { value: i, ..Default::default() });
        *child.parent.borrow_mut() = Rc::downgrade(&root);
        root.children.borrow_mut().push(child);
    }
    println!("{} {}", Rc::weak_count(&root), root.children.borrow().iter().map(|c| c.value * c.parent.borrow().upgrade().map_or(0, |p| p.value)).sum::<i32>());
    println!("{:?} {:?}", parse("12"), parse("-3").map_err(|e| e.to_string()));
    println!("{}", NAMES.get_or_init(|| vec!["once".into()]).len());
    LOG.with(|l| l.borrow_mut().push("logged".into()));
    println!("{:?} {:>8.2e}|{:#x}|{:^9}|", LOG.with(|l| l.borrow().clone()), 12345.678, 255, "mid");
    threads();

    panic::set_hook(Box::new(|info| println!("hook: {:?}", info.location().map(|l| l.line() > 0))));
    let caught = panic::catch_unwind(|| deep(2));
    println!("{}", describe(&*caught.unwrap_err()));
    let caught = panic::catch_unwind(|| { let list: Vec<i32> = Vec::new(); list[arguments_len()] });
    println!("{}", describe(&*caught.unwrap_err()));
    let caught = panic::catch_unwind(|| panic::panic_any(7i32));
    println!("{}", describe(&*caught.unwrap_err()));
    let result = panic::catch_unwind(|| "text".parse::<f32>().unwrap());
    println!("{}", result.is_err());
    let _ = panic::take_hook();
    io::stdout().flush().unwrap();
    eprintln!("on the error stream");
    let path = std::env::temp_dir().join(format!("hotlink-rust-{}", std::process::id()));
    std::fs::write(&path, b"bytes").unwrap();
    println!("{:?} {}", std::fs::read_to_string(&path).unwrap(), std::fs::metadata(&path).unwrap().len());
    std::fs::remove_file(&path).unwrap();
    Ok(())
}

fn arguments_len() -> usize { std::env::args().count() }
