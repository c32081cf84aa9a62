//! Files of PyTorch, indexes and shards: what is read, bit for bit, and what hostile or damaged ones end in.

use super::*;
use crate::checkpoint::pickle::Pickle;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/weights");

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(format!("{GOLDEN}/{name}")).unwrap()
}

/// A fresh folder that goes away with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("cloze-tensors-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// What is said of a file of these bytes.
    fn refusal(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let error = Tensors::open(&self.write(name, bytes)).err().expect("it is refused");
        assert!(error.code == Code::Corrupt && !error.hint.is_empty(), "{error}");
        error.message
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    let mut values = vec![f32::NAN; tensor.shape.iter().product()];
    tensor.copy_to(&mut values).unwrap();
    values
}

/// A safetensors file with those tensors of one element.
fn safetensors(names: &[&str]) -> Vec<u8> {
    let entry = |(i, name): (usize, &&str)| {
        format!(r#""{name}":{{"dtype":"F32","shape":[1],"data_offsets":[{},{}]}}"#, 4 * i, 4 * i + 4)
    };
    let header = format!("{{{}}}", names.iter().enumerate().map(entry).collect::<Vec<_>>().join(","));
    let data = vec![0; 4 * names.len()];
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

#[test]
fn open_reads_every_form_of_torch_save_as_torch_does() {
    let expected: serde_json::Value = serde_json::from_slice(&golden("expected.json")).unwrap();
    for form in ["archive.bin", "archive_protocol_4.bin", "legacy.bin"] {
        let tensors = Tensors::open(Path::new(&format!("{GOLDEN}/{form}"))).unwrap();
        for (name, expected) in expected.as_object().unwrap() {
            let tensor = tensors.get(name).unwrap();
            let numbers = |field: &str| -> Vec<f64> { serde_json::from_value(expected[field].clone()).unwrap() };
            assert_eq!(tensor.shape.iter().map(|&n| n as f64).collect::<Vec<_>>(), numbers("shape"), "{form} {name}");
            let wanted: Vec<u32> = numbers("values").iter().map(|&x| (x as f32).to_bits()).collect();
            let found: Vec<u32> = values(&tensor).iter().map(|x| x.to_bits()).collect();
            assert_eq!(found, wanted, "{form} {name}");
        }
        let whole = tensors.get("whole").unwrap();
        assert_eq!((whole.copy_to(&mut [0.0; 4]), tensors.names().len()), (Err(Dtype::I64), 12));
    }
}

#[test]
fn open_refuses_a_file_that_is_cut_off_anywhere() {
    let folder = Folder::new("cut");
    for form in ["archive.bin", "legacy.bin"] {
        let whole = golden(form);
        for len in (1..whole.len()).step_by(7).chain([whole.len() - 1]) {
            folder.refusal("pytorch_model.bin", &whole[..len]);
        }
    }
}

#[test]
fn open_survives_every_byte_being_another_and_notices_a_damaged_tensor() {
    for form in ["archive.bin", "legacy.bin"] {
        let mut bytes = golden(form);
        for i in 0..bytes.len() {
            let before = bytes[i];
            for value in [before ^ 0xFF, 0, b'('] {
                bytes[i] = value;
                let Ok(file) = torch::read(&bytes) else { continue };
                assert!(file.tensors.iter().all(|tensor| tensor.range.end <= bytes.len()));
            }
            bytes[i] = before;
        }
    }
    let folder = Folder::new("flip");
    let mut bytes = golden("archive.bin");
    let values: Vec<u8> = [1.0f32, 2.5].iter().flat_map(|x| x.to_le_bytes()).skip(4).collect();
    let at = bytes.windows(4).position(|window| window == values).unwrap();
    bytes[at] ^= 1;
    assert!(folder.refusal("pytorch_model.bin", bytes).contains("the checksum is another one (it holds scalar)"));
}

#[test]
fn open_refuses_other_pickles_by_what_they_hold() {
    let folder = Folder::new("others");
    for (name, expected) in [
        ("training_checkpoint.bin", "holds no tensors, but epoch, model"),
        ("module.bin", "torch.nn.modules.linear.Linear, which is no part of weights; nothing was run"),
        ("quantized.bin", "torch._utils._rebuild_qtensor"),
    ] {
        let message = folder.refusal(name, golden(name));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn pickle_runs_nothing_and_takes_no_more_than_its_bytes_say() {
    let refused = |bytes: &[u8]| match Pickle::read(bytes) {
        Err(why) => why,
        Ok(pickle) => pickle.state_dict().err().expect("it is refused"),
    };
    for (bytes, expected) in [
        (&b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R."[..], "posix.system"),
        (b"cos\nsystem\n(S'ls'\ntR.", "os.system"),
        (b"\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"(i__builtin__\neval\n.", "0x69"),
        (b"X\xff\xff\xff\xff", "ends within"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff", "0x8d"),
        (b"c\xff\xff\xff\xff", "no end"),
        (b"h\x07.", "not there"),
        (b".", "where there is none"),
        (b"(.", "where there is none"),
        (b"t.", "mark"),
        (b"}q\x00Nu.", "mark"),
        (b"}(Nu.", "without a value"),
        (b"]NNs.", "no dict"),
        (b"}Na.", "no list"),
        (b"NNR.", "in a way that is not known"),
        (b"N)R.", "no function"),
        (b"NQ.", "not known"),
        (b"N.", "no dict of tensors"),
        (b"}.", "is empty"),
        (b"}NNs.", "no text"),
        (b"}X\x01\x00\x00\x00aNs.", "no tensors, but a"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n(ctorch\nFloatStorage\nK\x00))tR.", "not known"),
    ] {
        let why = refused(bytes);
        assert!(why.contains(expected), "{why}, not {expected}");
    }
    // A million tuples in one another, and one that holds itself twice, sixty times over.
    let nested = [&b"N"[..], &b"\x85".repeat(1_000_000), b"."].concat();
    assert!(refused(&nested).contains("no dict"));
    let doubled = [&b"N"[..], &b"q\x00h\x00\x86".repeat(60), b"."].concat();
    assert!(refused(&doubled).contains("no dict"));
    let itself = b"}q\x00X\x01\x00\x00\x00ah\x00s.";
    assert!(refused(itself).contains("no tensors, but a"));
    for endless in [b"N", b"(", b"h"] {
        let bytes = [&b"Nq\x00"[..], &[endless[0], 0].repeat(5_000_000)].concat();
        let bytes: Vec<u8> =
            if endless == b"h" { bytes } else { bytes.into_iter().filter(|&byte| byte != 0).collect() };
        assert!(refused(&bytes).contains("more than"), "{endless:?}");
    }
}

#[test]
fn open_reads_shards_of_either_form_through_their_index() {
    let folder = Folder::new("shards");
    folder.write("model-00001-of-00002.safetensors", safetensors(&["a", "b"]));
    folder.write("model-00002-of-00002.safetensors", safetensors(&["c"]));
    let index = r#"{"metadata":{"total_size":12},"weight_map":{"a":"model-00001-of-00002.safetensors",
        "b":"model-00001-of-00002.safetensors","c":"model-00002-of-00002.safetensors"}}"#;
    let tensors = Tensors::open(&folder.write("model.safetensors.index.json", index)).unwrap();
    assert_eq!(tensors.names(), ["a", "b", "c"]);
    assert!(tensors.get("c").unwrap().path.ends_with("model-00002-of-00002.safetensors"));
    folder.write("one.bin", golden("archive.bin"));
    let index = r#"{"weight_map":{"plain":"one.bin","d":"two.safetensors"}}"#;
    folder.write("two.safetensors", safetensors(&["d"]));
    let tensors = Tensors::open(&folder.write("pytorch_model.bin.index.json", index)).unwrap();
    assert_eq!((tensors.names().len(), tensors.get("part").unwrap().shape), (13, &[2, 3][..]));
}

#[test]
fn open_names_what_is_wrong_with_an_index_and_its_shards() {
    let folder = Folder::new("indexes");
    folder.write("one", safetensors(&["a", "b"]));
    folder.write("two", safetensors(&["b"]));
    let refusal = |map: &str| folder.refusal("x.index.json", format!(r#"{{"weight_map":{map}}}"#));
    for (map, expected) in [
        (r#"{"a":"one","c":"one"}"#, "says that c is in one, but it is not there"),
        (r#"{"a":"one","b":"two"}"#, "b is twice in the model: in"),
        (r#"{"a":"one","a":"two"}"#, "names a twice"),
        (r#"{"a":"../one"}"#, "a is in \"../one\", which is no file beside it"),
        (r#"{"a":"/etc/passwd"}"#, "no file beside it"),
        (r#"{"a":"sub/one"}"#, "no file beside it"),
        (r#"{"a":"..\\one"}"#, "no file beside it"),
        (r#"{"a":".."}"#, "no file beside it"),
        (r#"{"a":"x.index.json"}"#, "no file beside it"),
        (r#"{}"#, "weight_map is empty"),
        (r#"{"a":1}"#, "is no index of weights"),
        (r#"["a"]"#, "is no index of weights"),
    ] {
        let message = refusal(map);
        assert!(message.contains(expected), "{message}");
    }
    let lacking = folder.write("x.index.json", r#"{"weight_map":{"a":"one","z":"three"}}"#);
    let error = Tensors::open(&lacking).err().unwrap();
    assert_eq!(error.code, Code::Io);
    assert!(error.message.contains("three is missing") && error.message.contains("holds z"), "{error}");
    std::fs::write(folder.0.join("three"), &safetensors(&["z"])[..40]).unwrap();
    let error = Tensors::open(&lacking).err().unwrap();
    assert!(error.code == Code::Corrupt && error.message.contains("three is not a whole"), "{error}");
}

#[test]
fn open_refuses_a_name_that_is_twice_and_a_pointer_to_a_file() {
    let folder = Folder::new("twice");
    let twice = String::from_utf8(safetensors(&["a", "b"])).unwrap().replacen("\"b\"", "\"a\"", 1);
    let twice = twice.replacen("[4,8]", "[0,4]", 1);
    let shorter = &twice.as_bytes()[..twice.len() - 4];
    assert!(folder.refusal("model.safetensors", shorter).contains("names a twice"));
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 438011953\n";
    assert!(folder.refusal("model.safetensors", pointer).contains("pointer of Git LFS"));
}

#[test]
fn copy_to_widens_f16_exactly_and_rounds_f64_to_the_nearest() {
    let halves: Vec<u8> = [0x3c00u16, 0xc000, 0x0001, 0x7bff].iter().flat_map(|x| x.to_le_bytes()).collect();
    let tensor = Tensor { path: Path::new(""), dtype: Dtype::F16, shape: &[4], strides: None, data: &halves };
    assert_eq!(values(&tensor), [1.0, -2.0, 5.960_464_5e-8, 65504.0]);
    let data: Vec<u8> = [1.0 / 3.0, 16_777_217.0f64].iter().flat_map(|x| x.to_le_bytes()).collect();
    let tensor = Tensor { path: Path::new(""), dtype: Dtype::F64, shape: &[2], strides: None, data: &data };
    assert_eq!(values(&tensor), [1.0f32 / 3.0, 16_777_216.0]);
}
