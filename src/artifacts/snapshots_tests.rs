use super::super::Store;
use super::*;
use bytes::Bytes;
use object_store::memory::InMemory;

fn store() -> (Arc<InMemory>, Store) {
    let objects = Arc::new(InMemory::new());
    (Arc::clone(&objects), Store::over(objects))
}

async fn archive(snapshots: &Snapshots, name: &str, content: &[u8]) -> Manifest {
    let mut writer = snapshots.begin(name);
    for piece in content.chunks(1000) {
        writer.put(Bytes::copy_from_slice(piece)).await.expect("it takes the piece");
    }
    let stored = writer.finish().await.expect("whole");
    Manifest {
        snapshot_id: name.to_owned(),
        created_at: 0.0,
        sandbox_image: None,
        size_bytes: stored.bytes,
        paths: vec!["/workspace".to_owned()],
        description: None,
        tags: Default::default(),
        archive: stored.archive,
        sha256: Some(stored.sha256),
    }
}

async fn read(snapshots: &Snapshots, manifest: &Manifest) -> Result<Vec<u8>, SnapshotError> {
    let (mut reader, mut whole) = (snapshots.open(manifest).await?, Vec::new());
    while let Some(piece) = reader.next().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

fn large() -> Vec<u8> {
    (0..20_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[tokio::test]
async fn what_was_written_is_read_also_in_many_parts() {
    let snapshots = store().1.of("ns");
    for content in [vec![], b"small".to_vec(), large()] {
        let manifest = archive(&snapshots, "one", &content).await;
        snapshots.finish(&manifest).await.expect("finished");
        let found = snapshots.get("one").await.expect("there");
        assert_eq!(found, manifest);
        assert!(read(&snapshots, &found).await.expect("whole") == content);
    }
}

#[tokio::test]
async fn a_half_uploaded_snapshot_does_not_exist() {
    let snapshots = store().1.of("ns");
    archive(&snapshots, "half", b"content").await;
    assert!(matches!(snapshots.get("half").await, Err(SnapshotError::Missing { .. })));
    let listed = snapshots.list().await.expect("a list");
    assert!(listed.snapshots.is_empty() && listed.damaged.is_empty(), "{listed:?}");
    assert!(snapshots.remove("half").await.expect("removed"), "its remains can be removed");
    assert!(!snapshots.remove("half").await.expect("asked"));
}

#[tokio::test]
async fn a_writer_that_comes_late_does_not_break_what_is_there() {
    let snapshots = store().1.of("ns");
    let (mut late, first) = (snapshots.begin("s"), archive(&snapshots, "s", b"first").await);
    snapshots.finish(&first).await.expect("finished");
    late.put(Bytes::from_static(b"late")).await.expect("a piece");
    late.finish().await.expect("whole");
    assert_eq!(read(&snapshots, &snapshots.get("s").await.expect("there")).await.expect("whole"), b"first");
}

#[tokio::test]
async fn an_archive_that_does_not_fit_its_digest_is_refused() {
    let (objects, store) = store();
    let snapshots = store.of("ns");
    let manifest = archive(&snapshots, "s", b"content").await;
    snapshots.finish(&manifest).await.expect("finished");
    assert_eq!(snapshots.check("s").await.expect("whole"), manifest);
    let key = Path::from(format!("ns/snapshots/s/{}", manifest.archive));
    for (other, why) in [(&b"Content"[..], "its digest is"), (b"content and more", "the archive has 16 bytes, not 7")] {
        objects.put(&key, Bytes::copy_from_slice(other).into()).await.expect("put");
        let error = read(&snapshots, &manifest).await.expect_err("refused");
        assert!(matches!(error, SnapshotError::Corrupt { .. }) && error.to_string().contains(why), "{error}");
        let checked = snapshots.check("s").await.expect_err("refused");
        assert_eq!(checked.to_string(), error.to_string());
    }
    objects.delete(&key).await.expect("deleted");
    let error = read(&snapshots, &manifest).await.expect_err("refused");
    assert!(matches!(error, SnapshotError::Corrupt { .. }) && error.to_string().contains("gone"), "{error}");
}

#[tokio::test]
async fn a_manifest_that_leads_elsewhere_is_refused() {
    let (objects, store) = store();
    let snapshots = store.of("ns");
    let manifest = archive(&store.of("other"), "s", b"secret").await;
    for archive in ["../../../other/snapshots/s/archive.tar.gz", "metadata.json"] {
        let text = serde_json::to_vec(&Manifest { archive: archive.to_owned(), ..manifest.clone() }).expect("JSON");
        objects.put(&Path::from("ns/snapshots/s/metadata.json"), text.into()).await.expect("put");
        assert!(matches!(snapshots.get("s").await, Err(SnapshotError::Corrupt { .. })));
    }
    objects.put(&Path::from("ns/snapshots/s/metadata.json"), "{".into()).await.expect("put");
    assert!(matches!(snapshots.get("s").await, Err(SnapshotError::Corrupt { .. })));
    assert_eq!(snapshots.list().await.expect("a list").damaged, ["s"]);
}

#[tokio::test]
async fn namespaces_see_their_own() {
    let store = store().1;
    let (one, two) = (store.of("one"), store.of("two"));
    for (snapshots, name, created_at) in [(&one, "old", 1.0), (&one, "new", 2.0), (&two, "other", 3.0)] {
        let manifest = archive(snapshots, name, b"x").await;
        snapshots.finish(&Manifest { created_at, ..manifest }).await.expect("finished");
    }
    let names = async |snapshots: &Snapshots| -> Vec<String> {
        let listed = snapshots.list().await.expect("a list");
        listed.snapshots.into_iter().map(|manifest| manifest.snapshot_id).collect()
    };
    assert_eq!(names(&one).await, ["new", "old"]);
    assert_eq!(names(&two).await, ["other"]);
    assert!(matches!(one.get("other").await, Err(SnapshotError::Missing { .. })));
    for bad in ["../two/snapshots/other", "..", "a/b"] {
        assert!(matches!(one.get(bad).await, Err(SnapshotError::BadName(_))), "{bad}");
        assert!(matches!(one.remove(bad).await, Err(SnapshotError::BadName(_))), "{bad}");
    }
}
