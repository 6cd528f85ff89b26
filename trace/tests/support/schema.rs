//! Decodes the parts of Perfetto's schema that the conversion writes.
//!
//! The numbers of fields are those of `perfetto_trace.proto`. The published crates with
//! the whole schema need the program `protoc`. An unknown field, or a field of a wrong type, is a
//! failure.

pub(crate) type Number = u64;

pub(crate) const SLICE_BEGIN: u64 = 1;
pub(crate) const SLICE_END: u64 = 2;

/// A `TracePacket`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packet {
    pub(crate) timestamp: Option<Number>,
    pub(crate) sequence: Number,
    pub(crate) sequence_flags: Number,
    pub(crate) event: Option<TrackEvent>,
    pub(crate) track: Option<TrackDescriptor>,
    pub(crate) names: Vec<(Number, String)>,
}

/// A `TrackEvent`.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrackEvent {
    pub(crate) kind: Number,
    pub(crate) track: Number,
    pub(crate) category: Option<String>,
    pub(crate) name_id: Number,
    pub(crate) name: Option<String>,
    pub(crate) counter: Option<Number>,
    pub(crate) flows: Vec<Number>,
    pub(crate) ending_flows: Vec<Number>,
    pub(crate) annotations: Vec<(String, String)>,
}

/// A `TrackDescriptor`.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrackDescriptor {
    pub(crate) uuid: Number,
    pub(crate) name: Option<String>,
    pub(crate) parent: Option<Number>,
    pub(crate) pid: Option<Number>,
    pub(crate) process_name: Option<String>,
    pub(crate) tid: Option<Number>,
    pub(crate) thread_name: Option<String>,
    pub(crate) is_counter: bool,
}

/// The value of a field.
enum Value<'a> {
    Varint(Number),
    Fixed(Number),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn varint(&self) -> Number {
        let Value::Varint(number) = self else { panic!("a number of variable length") };
        *number
    }

    fn fixed(&self) -> Number {
        let Value::Fixed(number) = self else { panic!("a number of eight bytes") };
        *number
    }

    fn bytes(&self) -> &'a [u8] {
        let Value::Bytes(bytes) = self else { panic!("bytes") };
        bytes
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).expect("a text in UTF-8")
    }
}

/// Returns the packets of a `Trace`.
pub(crate) fn packets(bytes: &[u8]) -> Vec<Packet> {
    let packet = |(number, value): (Number, Value<'_>)| {
        assert_eq!(number, 1, "Trace.packet");
        packet(value.bytes())
    };
    fields(bytes).into_iter().map(packet).collect()
}

fn packet(bytes: &[u8]) -> Packet {
    let mut packet = Packet::default();
    for (number, value) in fields(bytes) {
        match number {
            8 => packet.timestamp = Some(value.varint()),
            10 => packet.sequence = value.varint(),
            11 => packet.event = Some(event(value.bytes())),
            12 => packet.names.extend(fields(value.bytes()).iter().map(|(number, value)| {
                assert_eq!(*number, 2, "InternedData.event_names");
                interned_name(value.bytes())
            })),
            13 => packet.sequence_flags = value.varint(),
            60 => packet.track = Some(track(value.bytes())),
            other => panic!("the field {other} of TracePacket"),
        }
    }
    packet
}

fn interned_name(bytes: &[u8]) -> (Number, String) {
    let fields = fields(bytes);
    let [(1, id), (2, name)] = &fields[..] else { panic!("an EventName") };
    (id.varint(), name.text())
}

fn event(bytes: &[u8]) -> TrackEvent {
    let mut event = TrackEvent::default();
    for (number, value) in fields(bytes) {
        match number {
            4 => event.annotations.push(annotation(value.bytes())),
            9 => event.kind = value.varint(),
            10 => event.name_id = value.varint(),
            11 => event.track = value.varint(),
            22 => event.category = Some(value.text()),
            23 => event.name = Some(value.text()),
            30 => event.counter = Some(value.varint()),
            47 => event.flows.push(value.fixed()),
            48 => event.ending_flows.push(value.fixed()),
            other => panic!("the field {other} of TrackEvent"),
        }
    }
    event
}

fn annotation(bytes: &[u8]) -> (String, String) {
    let (mut name, mut text) = (String::new(), String::new());
    for (number, value) in fields(bytes) {
        match number {
            3 => text = value.varint().to_string(),
            6 => text = value.text(),
            10 => name = value.text(),
            other => panic!("the field {other} of DebugAnnotation"),
        }
    }
    (name, text)
}

fn track(bytes: &[u8]) -> TrackDescriptor {
    let mut track = TrackDescriptor::default();
    for (number, value) in fields(bytes) {
        match number {
            1 => track.uuid = value.varint(),
            2 => track.name = Some(value.text()),
            3 => process(value.bytes(), &mut track),
            4 => thread(value.bytes(), &mut track),
            5 => track.parent = Some(value.varint()),
            8 => track.is_counter = value.bytes().is_empty(),
            other => panic!("the field {other} of TrackDescriptor"),
        }
    }
    track
}

fn process(bytes: &[u8], track: &mut TrackDescriptor) {
    for (number, value) in fields(bytes) {
        match number {
            1 => track.pid = Some(value.varint()),
            6 => track.process_name = Some(value.text()),
            other => panic!("the field {other} of ProcessDescriptor"),
        }
    }
}

fn thread(bytes: &[u8], track: &mut TrackDescriptor) {
    for (number, value) in fields(bytes) {
        match number {
            1 => track.pid = Some(value.varint()),
            2 => track.tid = Some(value.varint()),
            5 => track.thread_name = Some(value.text()),
            other => panic!("the field {other} of ThreadDescriptor"),
        }
    }
}

/// Splits a message into its fields.
fn fields(mut bytes: &[u8]) -> Vec<(Number, Value<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut bytes)),
            1 => Value::Fixed(u64::from_le_bytes(take(&mut bytes, 8).try_into().expect("eight bytes"))),
            2 => {
                let length = varint(&mut bytes) as usize;
                Value::Bytes(take(&mut bytes, length))
            }
            other => panic!("a field of the type {other}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

fn varint(bytes: &mut &[u8]) -> Number {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= Number::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(length);
    *bytes = rest;
    taken
}
